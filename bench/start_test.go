package bench

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

const starts = 25

// BenchmarkColdStart: from the start of the process to its first question for an
// event, ingest and a hello-world function in turns. Ingest makes one call of KMS
// meanwhile, which a server here answers at once: on AWS its way comes on top.
func BenchmarkColdStart(b *testing.B) {
	ingest, hello := Build(b, "../functions/ingest"), Build(b, "hello")
	public := must(x509.MarshalPKIXPublicKey(&must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).PublicKey))
	kms := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(json.NewEncoder(w).Encode(map[string]any{"KeyId": "key", "PublicKey": public}))
	}))
	defer kms.Close()
	environment := settings(kms.URL, map[string]string{}, "eu-central-1_people")
	b.Run("ingest", func(b *testing.B) {
		start := func(bootstrap string) float64 {
			r := Start(b, bootstrap, environment...)
			r.Stop()
			return r.Ready.Seconds() * 1e3
		}
		start(ingest)
		start(hello) // both files are in memory now
		var ours, theirs []float64
		for range starts {
			ours, theirs = append(ours, start(ingest)), append(theirs, start(hello))
		}
		ReportRatio(b, "ms", ours, theirs)
	})
}

// BenchmarkMemory: the most memory of ingest while it takes 32 MiB of XML, sent
// compressed, against the size of the XML.
func BenchmarkMemory(b *testing.B) {
	s := stack.Open(b)
	person := s.Newcomer(b)
	document := TCX("..", 32<<20)
	var sent bytes.Buffer
	compressor := gzip.NewWriter(&sent)
	must(compressor.Write(document))
	check(compressor.Close())
	event := events.APIGatewayProxyRequest{
		Resource: "/users/{user}/recordings", HTTPMethod: http.MethodPost, PathParameters: map[string]string{"user": "me"},
		MultiValueHeaders: map[string][]string{"Authorization": {"Bearer " + person.Token}, "x-api-key": {person.Key},
			"Content-Type": {"application/vnd.garmin.tcx+xml+gzip"}},
		Body: base64.StdEncoding.EncodeToString(sent.Bytes()), IsBase64Encoded: true,
	}
	bootstrap := Build(b, "../functions/ingest")
	b.Run("tcx", func(b *testing.B) {
		r := Start(b, bootstrap, settings(s.Endpoints.AWS, s.Outputs, s.UserPool)...)
		defer r.Stop()
		idle := r.PeakMemory()
		var answer events.APIGatewayProxyResponse
		require.NoError(b, json.Unmarshal(r.Invoke(text(event)), &answer))
		if answer.StatusCode == 413 || answer.StatusCode == 415 {
			b.Skip("not taken in yet")
		}
		require.Equal(b, 201, answer.StatusCode, answer.Body)
		Report(b, map[string]float64{"document-B": float64(len(document)), "sent-B": float64(sent.Len()),
			"peak-B": float64(r.PeakMemory()), "idle-B": float64(idle)})
	})
}

// settings is the environment of ingest with AWS at an address; outputs are the
// deployed stack's, and what none names is named so that it starts.
func settings(aws string, outputs map[string]string, pool string) []string {
	environment := []string{
		"AWS_ENDPOINT_URL=" + aws, "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=local-operator", "AWS_SECRET_ACCESS_KEY=local-operator-secret",
		"DEPLOYMENT=fitvault", "TOKEN_KEYS_PARAMETER=/fitvault/token-keys", "ADDRESS_KEY_PARAMETER=/fitvault/address-key",
		"USER_LIMIT=100000", "DEVICE_LIMIT=100000", "ADDRESS_LIMIT=100000", "CLIENT_LIMIT=1000000",
		"TOKEN_ISSUER=https://cognito-idp.eu-central-1.amazonaws.com/" + pool,
	}
	for name, output := range map[string]string{"ACCOUNTS_TABLE": "AccountsTable", "KEYS_TABLE": "KeysTable", "READINGS_TABLE": "ReadingsTable",
		"REQUESTS_TABLE": "RequestsTable", "AUDIT_EVENTS_TABLE": "AuditEventsTable", "DOCUMENTS_BUCKET": "DocumentsBucket",
		"SERVICE_KEY_ARN": "ServiceKey", "WRITER_KEY_ARN": "WriterKey", "ENROLMENT_KEY_ARN": "EnrolmentKey"} {
		value := outputs[output]
		if value == "" {
			value = output
		}
		environment = append(environment, name+"="+value)
	}
	return environment
}
