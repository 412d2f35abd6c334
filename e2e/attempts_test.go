package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"fitvault/shared/keyring"
)

// attempt is something that one may try with a role's credentials, and the roles
// that may.
type attempt struct {
	name string
	may  []string
	try  func(ctx context.Context, c aws.Config) error
}

func none(attempt any, err error) error { return err }

func (e enforced) attemptsOnKeys(t *testing.T) []attempt {
	t.Helper()
	ctx := t.Context()
	root := kms.NewFromConfig(e.root.AWS())
	data, service, writer := e.arns["DataKey.Arn"], e.arns["ServiceKey.Arn"], e.arns["WriterKey.Arn"]
	enrolment, receipts := e.arns["EnrolmentKey.Arn"], e.arns["ReceiptKey.Arn"]
	pairing := e.arns["PairingKey.Arn"]
	of := func(purpose string) map[string]string { return keyring.Context(deployment, "some-key", purpose) }
	pair, err := root.GenerateDataKeyPairWithoutPlaintext(ctx, &kms.GenerateDataKeyPairWithoutPlaintextInput{
		KeyId: &data, KeyPairSpec: kmstypes.DataKeyPairSpecEccNistP256, EncryptionContext: of("data")})
	require.NoError(t, err)
	wrapped := map[string][]byte{"data": pair.PrivateKeyCiphertextBlob}
	for purpose, key := range map[string]string{"requests": service, "pages": service, "audit": service, "writer": writer} {
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
		decrypt("an owner's private key", data, wrapped["data"], of("data"), readings, project, history),
		decrypt("an owner's private key without a context", data, wrapped["data"], nil),
		decrypt("an owner's private key as of another deployment", data, wrapped["data"], keyring.Context("another", "some-key", "data")),
		decrypt("an owner's private key as for pages", data, wrapped["data"], of("pages")),
		decrypt("an owner's private key as for requests", data, wrapped["data"], of("requests")),
		decrypt("an owner's private key as a writer key", data, wrapped["data"], of("writer")),
		decrypt("the requests key", service, wrapped["requests"], of("requests"), ingest, sealed),
		decrypt("the requests key without a context", service, wrapped["requests"], nil),
		decrypt("the pages key", service, wrapped["pages"], of("pages"), readings, history, auditing),
		decrypt("the audit key", service, wrapped["audit"], of("audit"), sequencer, auditing),
		decrypt("the audit key without a context", service, wrapped["audit"], nil),
		decrypt("a writer key", writer, wrapped["writer"], of("writer"), ingest, sealed, readings, project, history),
		decrypt("a writer key without a context", writer, wrapped["writer"], nil),
		generate(service, "requests", keykeeper),
		generate(service, "pages", keykeeper),
		generate(service, "audit", keykeeper),
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
		{"sign for the service towards trackers", []string{devices}, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).Sign(ctx, &kms.SignInput{KeyId: &pairing, Message: []byte("T1"),
				MessageType: kmstypes.MessageTypeRaw, SigningAlgorithm: kmstypes.SigningAlgorithmSpecEcdsaSha256}))
		}},
		{"see the enrolment key's public half", []string{ingest, sealed, project}, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &enrolment}))
		}},
		{"sign a receipt", []string{enrol}, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).Sign(ctx, &kms.SignInput{KeyId: &receipts, Message: []byte("receipt"),
				MessageType: kmstypes.MessageTypeRaw, SigningAlgorithm: kmstypes.SigningAlgorithmSpecEcdsaSha256}))
		}},
		{"see the receipt key's public half", []string{enrol, jwks}, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &receipts}))
		}},
	}
	attempts = append(attempts, e.attemptsOnUploads(t)...)
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

// attemptsOnUploads: only ingestsealed opens what is encrypted to the upload key, and
// by one algorithm.
func (e enforced) attemptsOnUploads(t *testing.T) []attempt {
	t.Helper()
	key := e.arns["UploadKey.Arn"]
	root := kms.NewFromConfig(e.root.AWS())
	decrypt := func(name string, algorithm kmstypes.EncryptionAlgorithmSpec, may ...string) attempt {
		made, err := root.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: make([]byte, 32), EncryptionAlgorithm: algorithm})
		require.NoError(t, err)
		return attempt{name, may, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).Decrypt(ctx, &kms.DecryptInput{KeyId: &key, CiphertextBlob: made.CiphertextBlob, EncryptionAlgorithm: algorithm}))
		}}
	}
	return []attempt{
		decrypt("decrypt an upload's key", kmstypes.EncryptionAlgorithmSpecRsaesOaepSha256, sealed),
		decrypt("decrypt an upload's key by another algorithm", kmstypes.EncryptionAlgorithmSpecRsaesOaepSha1),
		{"see the upload key's public half", []string{sealed, jwks}, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &key}))
		}},
		{"encrypt to the upload key by KMS", nil, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: make([]byte, 32), EncryptionAlgorithm: kmstypes.EncryptionAlgorithmSpecRsaesOaepSha256}))
		}},
		{"change the policy of the upload key", nil, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &key, Policy: aws.String(`{"Version":"2012-10-17","Statement":[]}`)}))
		}},
		{"destroy the upload key", nil, func(ctx context.Context, c aws.Config) error {
			return none(kms.NewFromConfig(c).ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &key}))
		}},
	}
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
		delete            []string
	}{
		{name: "ReadingsTable", hash: "owner", key: item{"owner": text("ada"), "item": text("x")}, get: all(readings, project), query: all(readings, project), put: all(ingest, sealed)},
		{name: "AccountsTable", hash: "id", key: item{"id": text("user#ada"), "document": text("owner")}, batch: all(ingest, sealed, readings, enrol, project, history, devices, sharing, auditing), put: all(enrol)},
		{name: "AccountsTable", hash: "id", key: item{"id": text("app#a"), "document": text("app")}, batch: all(ingest, sealed, readings, enrol, history, devices, admin, sharing, auditing, authorize), put: all(admin), update: all(admin)},
		{name: "AccountsTable", hash: "id", key: item{"id": text("apps"), "document": text("request")}, batch: all(ingest, sealed, readings, enrol, history, devices, sharing, auditing), query: all(admin), put: all(admin)},
		{name: "AccountsTable", hash: "id", key: item{"id": text("identity#a"), "document": text("caller")}, batch: all(ingest, sealed, readings, enrol, history, devices, admin, sharing, auditing), put: all(enrol)},
		{name: "AccountsTable", hash: "id", key: item{"id": text("device#acme-1"), "document": text("device")}, batch: all(ingest, sealed, readings, enrol, history, devices, sharing, auditing),
			get: all(devices), put: all(devices), update: all(devices)},
		{name: "AccountsTable", hash: "id", key: item{"id": text("session#ada"), "document": text("x")}, batch: all(ingest, sealed, readings, enrol, history, devices, admin, sharing, auditing), query: all(sharing),
			put: all(ingest, sealed, readings, enrol, history, devices, admin, sharing, auditing), update: all(sharing)},
		{name: "AccountsTable", hash: "id", key: item{"id": text("invitation#x"), "document": text("invitation")}, batch: all(ingest, sealed, readings, enrol, history, devices, sharing, auditing), put: all(sharing), update: all(sharing)},
		{name: "AccountsTable", hash: "id", key: item{"id": text("shared#x"), "document": text("x#y")}, batch: all(ingest, sealed, readings, enrol, history, devices, sharing, auditing), query: all(sharing), put: all(sharing), delete: all(sharing)},
		{name: "KeysTable", hash: "owner", key: item{"owner": text("service"), "key": text("x")}, get: all(ingest, sealed, readings, project, history, sequencer, auditing), put: all(keykeeper)},
		{name: "KeysTable", hash: "owner", key: item{"owner": text("ada"), "key": text("x")}, get: all(ingest, sealed, readings, project, history), put: all(enrol)},
		{name: "RequestsTable", hash: "key", key: item{"key": text("x")}, get: all(ingest, sealed), put: all(ingest, sealed)},
		{name: "RequestsTable", hash: "key", key: item{"key": text("pairing#x")}, put: all(devices), update: all(devices)},
		{name: "RequestsTable", hash: "key", key: item{"key": text("tries#x")}, put: all(devices), update: all(devices)},
		{name: "RequestsTable", hash: "key", key: item{"key": text("counter#x")}, update: all(ingest, sealed), delete: all(devices)},
		{name: "RequestsTable", hash: "key", key: item{"key": text("limit#x")}, get: all(ingest, sealed, readings, enrol, history, devices, admin, sharing, auditing), update: all(watching, ingest, sealed, readings, enrol, history, devices, admin, sharing, auditing)},
		{name: "RequestsTable", hash: "key", key: item{"key": text("sentinel#x")}, update: all(watching)},
		{name: "AuditEventsTable", hash: "shard", key: item{"shard": text("x"), "id": text("x")}, put: all(watching, ingest, sealed, readings, enrol, project, history, devices, admin, sharing, sequencer, auditing), query: all(sequencer)},
		{name: "AuditStateTable", hash: "id", key: item{"id": text("head"), "document": text("head")}, get: all(sequencer, auditing), query: all(auditing), put: all(sequencer)},
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
		add("delete an item of "+table.name, table.delete, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: name, Key: key}))
		})
		add("delete "+table.name, nil, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: name}))
		})
	}

	// Of what an upload may store the sequencer sees the list, and of no request more.
	for names, may := range map[string][]string{"manifest": all(ingest, sealed, sequencer), "manifest, body": all(ingest, sealed), "expires": all(ingest, sealed)} {
		add("read of a request "+names, may, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("RequestsTable"), Key: item{"key": text("x")}, ProjectionExpression: aws.String(names)}))
		})
	}

	// Of owners' keys the sequencer sees which there are, and nothing of them.
	for names, may := range map[string][]string{"#o, #k": all(sequencer), "#o, #k, wrapped": nil} {
		add("query an owner's keys for "+names, may, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).Query(ctx, &dynamodb.QueryInput{TableName: aws.String("KeysTable"), KeyConditionExpression: aws.String("#o = :o"),
				Select: types.SelectSpecificAttributes, ProjectionExpression: aws.String(names), ExpressionAttributeNames: map[string]string{"#o": "owner", "#k": "key"},
				ExpressionAttributeValues: item{":o": text("ada")}}))
		})
	}

	add("look up who used a key", all(sequencer), func(ctx context.Context, c aws.Config) error {
		_, err := cloudtrail.NewFromConfig(c).LookupEvents(ctx, &cloudtrail.LookupEventsInput{})
		var answer smithy.APIError
		if errors.As(err, &answer) && answer.ErrorCode() == "UnknownError" { // MiniStack has no CloudTrail to ask behind its door
			return nil
		}
		return err
	})

	// Of identities the sentinel sees whose they are, where it is told of the user pools' events.
	for names, may := range map[string][]string{"#i, #d, #u": all(watching), "#i, #d, #u, #r": nil} {
		add("read an identity's "+names, may, func(ctx context.Context, c aws.Config) error {
			attributes := map[string]string{"#i": "id", "#d": "document", "#u": "user"}
			if may == nil {
				attributes["#r"] = "roles"
			}
			return none(dynamodb.NewFromConfig(c).GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("AccountsTable"), ProjectionExpression: aws.String(names), ExpressionAttributeNames: attributes,
				Key: item{"id": text("identity#a"), "document": text("caller")}}))
		})
	}

	// Of documents that decide, each changes its own part, and may not even compare another's.
	owner, caller := item{"id": text("user#ada"), "document": text("owner")}, item{"id": text("identity#a"), "document": text("caller")}
	for _, part := range []struct {
		key       item
		attribute string
		may       []string
	}{
		{owner, "grants", all(sharing)}, {owner, "apps", all(sharing)}, {owner, "settings", all(sharing)}, {owner, "trackers", all(devices)},
		{owner, "consents", all(enrol)}, {owner, "pseudonym", all(enrol)}, {owner, "state", all(enrol, devices, sharing)},
		{owner, "data_key", nil}, {owner, "expires", nil}, {owner, "user", nil},
		{caller, "user", nil}, {caller, "roles", all(admin)}, {caller, "organisations", all(admin)}, {caller, "proposal", all(admin)},
		{caller, "sessions_from", all(admin)}, {caller, "expires", nil},
	} {
		update := types.Update{TableName: aws.String("AccountsTable"), Key: part.key, UpdateExpression: aws.String("SET #a = :a"),
			ExpressionAttributeNames: map[string]string{"#a": part.attribute}, ExpressionAttributeValues: item{":a": text("x")}}
		add("change "+part.attribute, part.may, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: update.TableName, Key: update.Key, UpdateExpression: update.UpdateExpression,
				ExpressionAttributeNames: update.ExpressionAttributeNames, ExpressionAttributeValues: update.ExpressionAttributeValues}))
		})
		add("change "+part.attribute+" in a transaction", part.may, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{Update: &update}}}))
		})
		add("change something beside "+part.attribute, nil, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: update.TableName, Key: update.Key,
				UpdateExpression: aws.String("SET #a = :a, other = :a"), ExpressionAttributeNames: update.ExpressionAttributeNames, ExpressionAttributeValues: update.ExpressionAttributeValues}))
		})
		add("compare something beside "+part.attribute, nil, func(ctx context.Context, c aws.Config) error {
			return none(dynamodb.NewFromConfig(c).UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: update.TableName, Key: update.Key, UpdateExpression: update.UpdateExpression,
				ConditionExpression: aws.String("begins_with(other, :a)"), ExpressionAttributeNames: update.ExpressionAttributeNames, ExpressionAttributeValues: update.ExpressionAttributeValues}))
		})
	}

	object := func(c aws.Config) *s3.Client {
		return s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	}
	for _, bucket := range []struct {
		name                   string
		put, get, list, delete []string
	}{
		{name: "documents", put: all(ingest, sealed), get: all(readings)},
		{name: "auditlog", put: all(sequencer), get: all(sequencer), list: all(sequencer, auditing)},
		{name: "failures", put: all(project), get: all(project), list: all(project), delete: all(project)},
	} {
		name, id := aws.String(bucket.name), aws.String("x")
		add("put an object into "+bucket.name, bucket.put, func(ctx context.Context, c aws.Config) error {
			return none(object(c).PutObject(ctx, &s3.PutObjectInput{Bucket: name, Key: id, Body: strings.NewReader("x")}))
		})
		add("get an object of "+bucket.name, bucket.get, func(ctx context.Context, c aws.Config) error {
			return none(object(c).GetObject(ctx, &s3.GetObjectInput{Bucket: name, Key: id}))
		})
		add("list "+bucket.name, bucket.list, func(ctx context.Context, c aws.Config) error {
			return none(object(c).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: name}))
		})
		add("delete an object of "+bucket.name, bucket.delete, func(ctx context.Context, c aws.Config) error {
			return none(object(c).DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: name, Key: id}))
		})
	}
	tile := &s3.PutObjectInput{Bucket: aws.String("auditlog"), Key: aws.String("tile/0/000"), Body: strings.NewReader("x")}
	require.NoError(t, none(object(e.root.AWS()).PutObject(t.Context(), tile)))
	add("get a tile of the audit log", all(sequencer, auditing), func(ctx context.Context, c aws.Config) error {
		return none(object(c).GetObject(ctx, &s3.GetObjectInput{Bucket: tile.Bucket, Key: tile.Key}))
	})
	parameter := aws.String("/" + deployment + "/token-keys")
	add("write the token keys", all(keykeeper), func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).PutParameter(ctx, &ssm.PutParameterInput{Name: parameter, Value: aws.String("x"), Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)}))
	})
	add("read the token keys", all(ingest, sealed, readings, enrol, history, devices, sharing, auditing), func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).GetParameter(ctx, &ssm.GetParameterInput{Name: parameter}))
	})
	page := &ssm.PutParameterInput{Name: aws.String("/" + deployment + "/consent-page-key"), Value: aws.String("x"), Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)}
	_, err := ssm.NewFromConfig(e.root.AWS()).PutParameter(t.Context(), page) // as the operator does
	require.NoError(t, err)
	add("read the consent page's key", all(authorize), func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).GetParameter(ctx, &ssm.GetParameterInput{Name: page.Name}))
	})
	add("write the consent page's key", nil, func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).PutParameter(ctx, page))
	})
	addresses := &ssm.PutParameterInput{Name: aws.String("/" + deployment + "/address-key"), Value: aws.String("x"), Type: ssmtypes.ParameterTypeSecureString, Overwrite: aws.Bool(true)}
	_, err = ssm.NewFromConfig(e.root.AWS()).PutParameter(t.Context(), addresses) // as keykeeper did before
	require.NoError(t, err)
	add("write the key of addresses", all(keykeeper), func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).PutParameter(ctx, addresses))
	})
	// The sentinel only where it is told of the user pools' events: PoolEvents.
	add("read the key of addresses", all(watching, keykeeper, ingest, sealed, readings, enrol, history, devices, admin, sharing, auditing), func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).GetParameter(ctx, &ssm.GetParameterInput{Name: addresses.Name}))
	})
	certificates := &ssm.PutParameterInput{Name: aws.String("/database-ca"), Value: aws.String("x"), Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true)}
	_, err = ssm.NewFromConfig(e.root.AWS()).PutParameter(t.Context(), certificates) // as the operator does
	require.NoError(t, err)
	add("read the database's certificates", all(migrate, project, history), func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).GetParameter(ctx, &ssm.GetParameterInput{Name: certificates.Name}))
	})
	add("write the database's certificates", nil, func(ctx context.Context, c aws.Config) error {
		return none(ssm.NewFromConfig(c).PutParameter(ctx, certificates))
	})
	return attempts
}
