package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"fitvault/e2e/stack"
	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/pairing/pairingtest"
	"fitvault/shared/sharing/sharingtest"
)

// Roles, by their logical ids in template.yaml.
const (
	ingest    = "IngestRole"
	sealed    = "IngestsealedRole"
	jwks      = "JwksRole"
	readings  = "ReadingsRole"
	enrol     = "EnrolRole"
	keykeeper = "KeykeeperRole"
	migrate   = "MigrateRole"
	project   = "ProjectRole"
	history   = "HistoryRole"
	devices   = "DevicesRole"
	admin     = "AdminRole"
	sharing   = "SharingRole"
	authorize = "AuthorizeRole"
	sequencer = "SequencerRole"
	auditing  = "AuditRole"
	watching  = "SentinelRole"
)

// conditions are template.yaml's as they are on AWS, with a database of its own.
var conditions = map[string]bool{"OnAws": true, "MakeDatabase": true, "MakePool": true}

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
	e := enforced{&root, map[string]string{"Deployment": deployment, "AWS::Partition": "aws", "AWS::Region": s.Region, "AWS::AccountId": "000000000000", "AWS::URLSuffix": "amazonaws.com",
		"DatabaseCaParameter": "/database-ca", "DatabaseCluster.DBClusterResourceId": "cluster-1",
		"UserPool.Arn": "arn:aws:cognito-idp:eu-central-1:000000000000:userpool/eu-central-1_people"}}
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
	for id, name := range map[string]string{"DocumentsBucket": "documents", "FailuresBucket": "failures", "AuditLogBucket": "auditlog"} {
		_, err = bucketsOf(e.root).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name),
			CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraintEuCentral1}})
		require.NoError(t, err)
		e.arns[id+".Arn"] = "arn:aws:s3:::" + name
	}
	for _, id := range of("AWS::Logs::LogGroup") {
		e.arns[id+".Arn"] = "arn:aws:logs:eu-central-1:000000000000:log-group:" + id + ":*"
	}
	for _, id := range of("AWS::IAM::Role") {
		p := template.Resources[id].Properties
		e.iam(t, url.Values{"Action": {"CreateRole"}, "RoleName": {id}, "AssumeRolePolicyDocument": {document(p["AssumeRolePolicyDocument"])}})
		for _, policy := range p["Policies"].([]any) {
			if choice, ok := policy.([]any); ok { // !If
				policy = choice[1]
			}
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
// !GetAtt X.Arn as the text X.Arn, and !FindInMap, !If and !Sub with values as
// their lists.
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
			if conditions[fmt.Sprint(v[0])] {
				return e.resolve(v[1], mappings)
			}
		}
		if len(v) == 2 {
			text, sub := v[0].(string)
			if values, ok := v[1].(map[string]any); ok && sub {
				text = e.resolve(text, mappings).(string)
				for name, value := range values {
					text = strings.ReplaceAll(text, "${"+name+"}", e.resolve(value, mappings).(string))
				}
				return text
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

// TestRolesSuffice: what the roles may is enough for what their functions do of the
// accounts' table: its contracts hold by their own credentials. (The items that a
// contract starts from are the operator's.)
func TestRolesSuffice(t *testing.T) {
	e := newEnforced(t)
	of := func(c aws.Config) dynamo.Tables {
		// A connection that MiniStack closes would have the SDK ask twice, and the second time is refused.
		c.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
		return dynamo.Tables{Client: dynamodb.NewFromConfig(c), Accounts: "AccountsTable", Keys: "KeysTable", Requests: "RequestsTable"}
	}
	root := of(e.root.AWS())
	put := func(t *testing.T, id, document string, more map[string]types.AttributeValue) {
		t.Helper()
		i := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}, "document": &types.AttributeValueMemberS{Value: document}}
		maps.Copy(i, more)
		_, err := root.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("AccountsTable"), Item: i})
		require.NoError(t, err)
	}
	owner := func(t *testing.T, o access.Owner) {
		t.Helper()
		grants := map[string]types.AttributeValue{}
		for id, g := range o.Grants {
			grants[id] = permitted(g)
		}
		put(t, access.OwnerKey(o.User), access.OwnerDocument, map[string]types.AttributeValue{"state": &types.AttributeValueMemberS{Value: string(o.State)},
			"data_key": &types.AttributeValueMemberS{Value: "k"}, "consents": &types.AttributeValueMemberM{}, "grants": &types.AttributeValueMemberM{Value: grants}})
	}
	t.Run("sharing", func(t *testing.T) {
		sharingtest.Contract(t, of(e.as(t, sharing)), owner)
	})
	t.Run("devices", func(t *testing.T) {
		pairingtest.Contract(t, of(e.as(t, devices)), func(t *testing.T) access.UserID {
			user, err := access.NewUserID(rand.Reader)
			require.NoError(t, err)
			owner(t, access.Owner{User: user, State: access.Active})
			return user
		}, func(t *testing.T, user access.UserID) map[string]access.Tracker {
			found, err := root.Read(t.Context(), access.Keys{User: user})
			require.NoError(t, err)
			return found.Owner.Trackers
		}, func(t *testing.T, user access.UserID) { owner(t, access.Owner{User: user, State: "closing"}) })
	})
	t.Run("admin", func(t *testing.T) {
		edgetest.Memberships(t, of(e.as(t, admin)), dynamo.ErrConflict, func(t *testing.T, issuer, subject string, c access.Caller) {
			put(t, access.IdentityKey(issuer, subject), access.CallerDocument, map[string]types.AttributeValue{"user": &types.AttributeValueMemberS{Value: c.User.String()}})
			require.NoError(t, root.PutMemberships(t.Context(), issuer, subject, access.Caller{User: c.User}, c))
		})
	})
	t.Run("enrol", func(t *testing.T) {
		keyringtest.AccountsContract(t, of(e.as(t, enrol)), root, dynamo.ErrConflict)
	})
	t.Run("ingest", func(t *testing.T) {
		intaketest.CountersContract(t, of(e.as(t, ingest)))
	})
}

func permitted(g access.Grant) types.AttributeValue {
	var of []string
	for _, one := range g.Types {
		of = append(of, one.String())
	}
	number := func(at time.Time) types.AttributeValue {
		return &types.AttributeValueMemberN{Value: fmt.Sprint(at.Unix())}
	}
	m := map[string]types.AttributeValue{"types": &types.AttributeValueMemberSS{Value: of}, "read": &types.AttributeValueMemberBOOL{Value: g.Read},
		"write": &types.AttributeValueMemberBOOL{Value: g.Write}, "use": &types.AttributeValueMemberS{Value: string(g.Use)}, "from": number(g.From), "until": number(g.Until)}
	if g.To != "" {
		m["to"] = &types.AttributeValueMemberS{Value: g.To}
	}
	return &types.AttributeValueMemberM{Value: m}
}

// TestRoles: each role of template.yaml, assumed where roles are enforced, can do
// what its function needs and is refused all else.
//
// MiniStack evaluates policies; what it does not know of requests is added by
// ministack_contexts.py. Logs are not tried.
func TestRoles(t *testing.T) {
	e := newEnforced(t)
	configs := map[string]aws.Config{}
	for _, role := range []string{ingest, sealed, jwks, readings, enrol, keykeeper, migrate, project, history, devices, admin, sharing, authorize, sequencer, auditing, watching} {
		configs[role] = e.as(t, role)
	}
	for _, a := range slices.Concat(e.attemptsOnKeys(t), e.attemptsOnStores(t)) {
		t.Run(a.name, func(t *testing.T) {
			for _, role := range []string{ingest, sealed, jwks, readings, enrol, keykeeper, migrate, project, history, devices, admin, sharing, authorize, sequencer, auditing, watching} {
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
