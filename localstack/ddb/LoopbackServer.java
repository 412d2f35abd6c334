import java.lang.reflect.Field;
import org.eclipse.jetty.server.AbstractNetworkConnector;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import software.amazon.dynamodb.services.local.main.ServerRunner;
import software.amazon.dynamodb.services.local.server.DynamoDBProxyServer;

/** DynamoDB Local, which listens on all addresses and has no option against it, on 127.0.0.1 only. */
public final class LoopbackServer {
  public static void main(String[] arguments) throws Exception {
    DynamoDBProxyServer server = ServerRunner.createServerFromCommandLineArgs(arguments);
    Field jetty = DynamoDBProxyServer.class.getDeclaredField("server");
    jetty.setAccessible(true);
    for (Connector connector : ((Server) jetty.get(server)).getConnectors()) {
      ((AbstractNetworkConnector) connector).setHost("127.0.0.1");
    }
    server.start();
    server.join();
  }
}
