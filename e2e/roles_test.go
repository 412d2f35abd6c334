package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"fitvault/e2e/stack"
	"fitvault/guard/contract"
	"fitvault/shared/keyring"
)

// Roles, by their logical ids in template.yaml.
const (
	ingest    = "IngestRole"
	readings  = "ReadingsRole"
	enrol     = "EnrolRole"
	keykeeper = "KeykeeperRole"
)

// enforced is a second MiniStack, which enforces roles as LocalStack does not,
// with the template's keys, tables, bucket and roles in it.
type enforced struct {
	root *stack.Stack // its operator's
	arns map[string]string
}

// newEnforced starts it until the test ends.
func newEnforced(t *testing.T) enforced {
	t.Helper()
	s := stack.Open(t)
	python, err := filepath.Abs("../.local/venvs/ms/bin/python")
	require.NoError(t, err)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)

	folder := t.TempDir()
	script, err := filepath.Abs("ministack_contexts.py")
	require.NoError(t, err)
	command := exec.Command(python, script)
	command.Dir = folder
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TMPDIR=" + folder, "STATE_DIR=" + folder, "S3_DATA_DIR=" + folder,
		"PYTHONDONTWRITEBYTECODE=1", "AUTH=true", "BIND_HOST=127.0.0.1", "GATEWAY_PORT=" + port, "MINISTACK_HOST=localhost", "MINISTACK_REGION=" + s.Region,
		"SERVICES=iam,sts,kms,dynamodb,s3,ssm", "SFTP_ENABLED=0", "IOT_MTLS_ENABLED=0",
		"AWS_ACCESS_KEY_ID=" + s.Credentials.ID, "AWS_SECRET_ACCESS_KEY=" + s.Credentials.Secret}
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		require.NoError(t, command.Process.Kill())
		_ = command.Wait() // it was killed
		if t.Failed() {
			t.Logf("MiniStack: %s", log.Bytes()[max(0, log.Len()-2000):])
		}
	})
	root := *s
	root.Endpoints.AWS = "http://" + address
	ready, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		answer, err := http.Get(root.Endpoints.AWS + "/_ministack/health") //nolint:gosec // ours
		if err == nil {
			require.NoError(t, answer.Body.Close())
			break
		}
		require.NoError(t, ready.Err(), "MiniStack does not start")
	}
	e := enforced{&root, map[string]string{"Deployment": deployment, "AWS::Partition": "aws", "AWS::Region": s.Region, "AWS::AccountId": "000000000000", "AWS::URLSuffix": "amazonaws.com"}}
	e.deploy(t)
	return e
}

// deploy makes what template.yaml says of keys, tables, bucket and roles.
func (e enforced) deploy(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	template, err := contract.ReadTemplate("..")
	require.NoError(t, err)
	var mappings struct {
		Mappings map[string]map[string]map[string]any `yaml:"Mappings"`
	}
	text, err := os.ReadFile("../template.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &mappings))
	document := func(v any) string {
		b, err := json.Marshal(e.resolve(v, mappings.Mappings))
		require.NoError(t, err)
		return string(b)
	}
	of := func(kind string) (ids []string) {
		for id, r := range template.Resources {
			if r.Type == kind {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		require.NotEmpty(t, ids)
		return ids
	}

	keys := kms.NewFromConfig(e.root.AWS())
	for _, id := range of("AWS::KMS::Key") {
		p := template.Resources[id].Properties
		in := &kms.CreateKeyInput{Policy: aws.String(document(p["KeyPolicy"]))}
		if spec, ok := p["KeySpec"].(string); ok {
			in.KeySpec, in.KeyUsage = kmstypes.KeySpec(spec), kmstypes.KeyUsageType(p["KeyUsage"].(string))
		}
		made, err := keys.CreateKey(ctx, in)
		require.NoError(t, err)
		e.arns[id+".Arn"] = *made.KeyMetadata.Arn
	}
	tables := dynamodb.NewFromConfig(e.root.AWS())
	for _, id := range of("AWS::DynamoDB::Table") {
		p := template.Resources[id].Properties
		in := &dynamodb.CreateTableInput{TableName: aws.String(id), BillingMode: types.BillingModePayPerRequest}
		decode(t, p["AttributeDefinitions"], &in.AttributeDefinitions)
		decode(t, p["KeySchema"], &in.KeySchema)
		made, err := tables.CreateTable(ctx, in)
		require.NoError(t, err)
		e.arns[id+".Arn"] = *made.TableDescription.TableArn
	}
	_, err = bucketsOf(e.root).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("documents"),
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraintEuCentral1}})
	require.NoError(t, err)
	e.arns["DocumentsBucket.Arn"] = "arn:aws:s3:::documents"
	for _, id := range of("AWS::Logs::LogGroup") {
		e.arns[id+".Arn"] = "arn:aws:logs:eu-central-1:000000000000:log-group:" + id + ":*"
	}
	for _, id := range of("AWS::IAM::Role") {
		p := template.Resources[id].Properties
		e.iam(t, url.Values{"Action": {"CreateRole"}, "RoleName": {id}, "AssumeRolePolicyDocument": {document(p["AssumeRolePolicyDocument"])}})
		for _, policy := range p["Policies"].([]any) {
			policy := policy.(map[string]any)
			e.iam(t, url.Values{"Action": {"PutRolePolicy"}, "RoleName": {id}, "PolicyName": {policy["PolicyName"].(string)}, "PolicyDocument": {document(policy["PolicyDocument"])}})
		}
	}
}

func decode(t *testing.T, v, to any) {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, to))
}

func (e enforced) iam(t *testing.T, form url.Values) {
	t.Helper()
	form.Set("Version", "2010-05-08")
	request(t, e.root, http.MethodPost, "iam", "/?"+form.Encode(), "", nil)
}

// resolve puts names and ARNs where the template has references: contract reads
// !GetAtt X.Arn as the text X.Arn, and !FindInMap as its list.
func (e enforced) resolve(v any, mappings map[string]map[string]map[string]any) any {
	switch v := v.(type) {
	case map[string]any:
		resolved := map[string]any{}
		for name, member := range v {
			resolved[name] = e.resolve(member, mappings)
		}
		return resolved
	case []any:
		if len(v) == 3 {
			if found, ok := mappings[fmt.Sprint(v[0])][fmt.Sprint(v[1])][fmt.Sprint(v[2])]; ok {
				return found
			}
		}
		resolved := make([]any, len(v))
		for i, element := range v {
			resolved[i] = e.resolve(element, mappings)
		}
		return resolved
	case string:
		if value, ok := e.arns[v]; ok {
			return value
		}
		for name, value := range e.arns {
			v = strings.ReplaceAll(v, "${"+name+"}", value)
		}
		return v
	}
	return v
}

// as is the configuration of somebody who has assumed a role.
func (e enforced) as(t *testing.T, role string) aws.Config {
	t.Helper()
	out, err := sts.NewFromConfig(e.root.AWS()).AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::000000000000:role/" + role), RoleSessionName: aws.String("e2e")})
	require.NoError(t, err)
	config := e.root.AWS()
	c := out.Credentials
	config.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	return config
}

// attempt is something that one may try with a role's credentials, and the roles
// that may.
type attempt struct {
	name string
	may  []string
	try  func(ctx context.Context, c aws.Config) error
}

func none(attempt any, err error) error { return err }

// TestRoles: each role of template.yaml, assumed where roles are enforced, can do
// what its function needs and is refused all else.
//
// MiniStack evaluates policies; what it does not know of requests is added by
// ministack_contexts.py. Logs are not tried.
func TestRoles(t *testing.T) {
	e := newEnforced(t)
	configs := map[string]aws.Config{}
	for _, role := range []string{ingest, readings, enrol, keykeeper} {
		configs[role] = e.as(t, role)
	}
	for _, a := range slices.Concat(e.attemptsOnKeys(t), e.attemptsOnStores(t)) {
		t.Run(a.name, func(t *testing.T) {
			for _, role := range []string{ingest, readings, enrol, keykeeper} {
				err := a.try(t.Context(), configs[role])
				if slices.Contains(a.may, role) {
					require.NoError(t, err, "%s may not", role)
					continue
				}
				var refused smithy.APIError
				require.True(t, errors.As(err, &refused), "%s may: %v", role, err)
				require.Contains(t, []string{"AccessDeniedException", "AccessDenied"}, refused.ErrorCode(), "%s: %v", role, err)
			}
		})
	}
}

func (e enforced) attemptsOnKeys(t *testing.T) []attempt {
	t.Helper()
	ctx := t.Context()
	root := kms.NewFromConfig(e.root.AWS())
	data, service, writer, enrolment := e.arns["DataKey.Arn"], e.arns["ServiceKey.Arn"], e.arns["WriterKey.Arn"], e.arns["EnrolmentKey.Arn"]
	of := func(purpose string) map[string]string { return keyring.Context(deployment, "some-key", purpose) }
	pair, err := root.GenerateDataKeyPairWithoutPlaintext(ctx, &kms.GenerateDataKeyPairWithoutPlaintextInput{
		KeyId: &data, KeyPairSpec: kmstypes.DataKeyPairSpecEccNistP256, EncryptionContext: of("data")})
	require.NoError(t, err)
	wrapped := map[string][]byte{"data": pair.PrivateKeyCiphertextBlob}
	for purpose, key := range map[string]string{"requests": service, "pages": service, "writer": writer} {
		made, err := root.GenerateDataKeyWithoutPlaintext(ctx, &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: &key, KeySpec: kmstypes.DataKeySpecAes256, EncryptionContext: of(purpose)})
		require.NoError(t, err)
		wrapped[purpose] = made.CiphertextBlob
	}

	decrypt := func(name, key string, blob []byte, encryptionContext map[string]string, may ...string) attempt {
		return attempt{"decrypt " + name, may, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).Decrypt(ctx, &kms.DecryptInput{KeyId: &key, CiphertextBlob: blob, EncryptionContext: encryptionContext}))
		}}
	}
	generate := func(key, purpose string, may ...string) attempt {
		return attempt{"make a key of purpose " + purpose, may, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).GenerateDataKeyWithoutPlaintext(ctx, &kms.GenerateDataKeyWithoutPlaintextInput{
				KeyId: &key, KeySpec: kmstypes.DataKeySpecAes256, EncryptionContext: of(purpose)}))
		}}
	}
	attempts := []attempt{
		decrypt("an owner's private key", data, wrapped["data"], of("data"), readings),
		decrypt("an owner's private key without a context", data, wrapped["data"], nil),
		decrypt("an owner's private key as of another deployment", data, wrapped["data"], keyring.Context("another", "some-key", "data")),
		decrypt("an owner's private key as for pages", data, wrapped["data"], of("pages")),
		decrypt("an owner's private key as for requests", data, wrapped["data"], of("requests")),
		decrypt("an owner's private key as a writer key", data, wrapped["data"], of("writer")),
		decrypt("the requests key", service, wrapped["requests"], of("requests"), ingest),
		decrypt("the requests key without a context", service, wrapped["requests"], nil),
		decrypt("the pages key", service, wrapped["pages"], of("pages"), readings),
		decrypt("a writer key", writer, wrapped["writer"], of("writer"), ingest, readings),
		decrypt("a writer key without a context", writer, wrapped["writer"], nil),
		generate(service, "requests", keykeeper),
		generate(service, "pages", keykeeper),
		generate(writer, "writer", keykeeper),
		generate(data, "data"),
		generate(service, "writer"),
		{"make an owner's key pair", []string{enrol}, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).GenerateDataKeyPairWithoutPlaintext(ctx, &kms.GenerateDataKeyPairWithoutPlaintextInput{
				KeyId: &data, KeyPairSpec: kmstypes.DataKeyPairSpecEccNistP256, EncryptionContext: of("data")}))
		}},
		{"make an owner's key pair and see it", nil, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).GenerateDataKeyPair(ctx, &kms.GenerateDataKeyPairInput{
				KeyId: &data, KeyPairSpec: kmstypes.DataKeyPairSpecEccNistP256, EncryptionContext: of("data")}))
		}},
		{"sign an enrolment", []string{enrol}, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).Sign(ctx, &kms.SignInput{KeyId: &enrolment, Message: []byte("statement"),
				MessageType: kmstypes.MessageTypeRaw, SigningAlgorithm: kmstypes.SigningAlgorithmSpecEcdsaSha256}))
		}},
		{"see the enrolment key's public half", []string{ingest}, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &enrolment}))
		}},
	}
	for name, key := range map[string]string{"data": data, "requests": service, "writer": writer} {
		attempts = append(attempts,
			attempt{"see a new key of purpose " + name, nil, func(ctx context.Context, c aws.Config) error {
				return none(kms.NewFromConfig(c).GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: kmstypes.DataKeySpecAes256, EncryptionContext: of(name)}))
			}},
			attempt{"wrap a key of one's own for purpose " + name, nil, func(ctx context.Context, c aws.Config) error {
				return none(kms.NewFromConfig(c).Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: make([]byte, 32), EncryptionContext: of(name)}))
			}},
			attempt{"wrap a key again for purpose " + name, nil, func(ctx context.Context, c aws.Config) error {
				return none(kms.NewFromConfig(c).ReEncrypt(ctx, &kms.ReEncryptInput{SourceKeyId: &key, DestinationKeyId: &key, CiphertextBlob: wrapped[name],
					SourceEncryptionContext: of(name), DestinationEncryptionContext: of(name)}))
			}},
			attempt{"change the policy of the key for purpose " + name, nil, func(ctx context.Context, c aws.Config) error {
				return none(kms.NewFromConfig(c).PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &key, Policy: aws.String(`{"Version":"2012-10-17","Statement":[]}`)}))
			}},
			attempt{"grant the use of the key for purpose " + name, nil, func(ctx context.Context, c aws.Config) error {
				return none(kms.NewFromConfig(c).CreateGrant(ctx, &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: aws.String("arn:aws:iam::000000000000:role/" + enrol),
					Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt}}))
			}},
			attempt{"destroy the key for purpose " + name, nil, func(ctx context.Context, c aws.Config) error {
				return none(kms.NewFromConfig(c).ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key}))
			}},
		)
	}
	return attempts
}

func (e enforced) attemptsOnStores(t *testing.T) []attempt {
	t.Helper()
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	type item = map[string]types.AttributeValue
	var attempts []attempt
	add := func(name string, may []string, try func(ctx context.Context, c aws.Config) error) {
		attempts = append(attempts, attempt{name, may, try})
	}
	all := func(roles ...string) []string { return roles }
	for _, table := range []struct {
		name, hash        string // hash is its partition key
		key               item
		get, query, batch []string
		put, update       []string
	}{
		{name: "ReadingsTable", hash: "owner", key: item{"owner": text("ada"), "item": text("x")}, get: all(readings), query: all(readings), put: all(ingest)},
		{name: "AccountsTable", hash: "id", key: item{"id": text("user#ada"), "document": text("owner")}, batch: all(ingest, readings, enrol), put: all(enrol), update: all(enrol)},
		{name: "KeysTable", hash: "owner", key: item{"owner": text("service"), "key": text("x")}, get: all(ingest, readings), put: all(enrol, keykeeper)},
		{name: "KeysTable", hash: "owner", key: item{"owner": text("ada"), "key": text("x")}, get: all(ingest, readings), put: all(enrol)},
		{name: "RequestsTable", hash: "key", key: item{"key": text("x")}, get: all(ingest), put: all(ingest)},
		{name: "AuditEventsTable", hash: "shard", key: item{"shard": text("x"), "id": text("x")}, put: all(ingest, readings, enrol)},
	} {
		name, key := aws.String(table.name), table.key
		add("get an item of "+table.name, table.get, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).GetItem(ctx, &dynamodb.GetItemInput{TableName: name, Key: key}))
		})
		add("get items of "+table.name+" in a batch", table.batch, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table.name: {Keys: []item{key}}}}))
		})
		add("query "+table.name, table.query, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).Query(ctx, &dynamodb.QueryInput{TableName: name, KeyConditionExpression: aws.String("#h = :h"),
				ExpressionAttributeNames: map[string]string{"#h": table.hash}, ExpressionAttributeValues: item{":h": key[table.hash]}}))
		})
		add("scan "+table.name, nil, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).Scan(ctx, &dynamodb.ScanInput{TableName: name}))
		})
		add("put an item into "+table.name, table.put, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: key}))
		})
		add("put an item into "+table.name+" in a transaction", table.put, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
				TransactItems: []types.TransactWriteItem{{Put: &types.Put{TableName: name, Item: key}}}}))
		})
		add("put items into "+table.name+" in a batch", nil, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
				RequestItems: map[string][]types.WriteRequest{table.name: {{PutRequest: &types.PutRequest{Item: key}}}}}))
		})
		add("update an item of "+table.name, table.update, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: name, Key: key,
				UpdateExpression: aws.String("SET a = :a"), ExpressionAttributeValues: item{":a": text("x")}}))
		})
		add("delete an item of "+table.name, nil, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: name, Key: key}))
		})
		add("delete "+table.name, nil, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: name}))
		})
	}

	object := func(c aws.Config) *s3.Client {
		return s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	}
	bucket, id := aws.String("documents"), aws.String("x")
	add("put a document", all(ingest), func(ctx context.Context, c aws.Config) error {
		return none(object(c).PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: id, Body: strings.NewReader("x")}))
	})
	add("get a document", all(readings), func(ctx context.Context, c aws.Config) error {
		return none(object(c).GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: id}))
	})
	add("list documents", nil, func(ctx context.Context, c aws.Config) error {
		return none(object(c).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket}))
	})
	add("delete a document", nil, func(ctx context.Context, c aws.Config) error {
		return none(object(c).DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: id}))
	})
	parameter := aws.String("/" + deployment + "/token-keys")
	add("write the token keys", all(keykeeper), func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).PutParameter(ctx, &ssm.PutParameterInput{Name: parameter, Value: aws.String("x"), Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)}))
	})
	add("read the token keys", all(ingest, readings, enrol), func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).GetParameter(ctx, &ssm.GetParameterInput{Name: parameter}))
	})
	return attempts
}
