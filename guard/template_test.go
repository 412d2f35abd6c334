package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
)

func readTemplate(t *testing.T) contract.Template {
	t.Helper()
	tpl, err := contract.ReadTemplate("..")
	require.NoError(t, err)
	return tpl
}

// grantsOf returns every action that a role has, one line for each action and
// resource, with its condition: "IngestRole kms:Decrypt ServiceKey.Arn if …".
// What a role is denied begins with "denied".
func grantsOf(tpl contract.Template) (lines []string) {
	for id, r := range tpl.Resources {
		if r.Type != "AWS::IAM::Role" {
			continue
		}
		for _, p := range asList(r.Properties["Policies"]) {
			if choice, ok := p.([]any); ok { // !If [condition, policy, none]
				p = choice[1]
			}
			for _, s := range asList(p.(map[string]any)["PolicyDocument"].(map[string]any)["Statement"]) {
				statement := s.(map[string]any)
				denied, condition := "", ""
				if statement["Effect"] != "Allow" {
					denied = "denied "
				}
				if c, ok := statement["Condition"]; ok {
					condition = fmt.Sprintf(" if %v", c)
				}
				for _, action := range asList(statement["Action"]) {
					for _, on := range asList(statement["Resource"]) {
						if _, values := on.(map[string]any); values {
							continue // of the !Sub before it
						}
						lines = append(lines, fmt.Sprintf("%s%s %s %v%s", denied, id, action, on, condition))
					}
				}
			}
		}
		for _, p := range asList(r.Properties["ManagedPolicyArns"]) {
			lines = append(lines, fmt.Sprintf("%s managed %v", id, p))
		}
	}
	sort.Strings(lines)
	return lines
}

func asList(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// forbidden is what no role may have, by hand and whatever the golden list says.
var forbidden = []struct{ why, pattern string }{
	{"a wildcard action", `^\S+ \S*\*`},
	{"a wildcard resource", `^\S+ \S+ \*`},
	{"a managed policy, which nobody here reads", `^\S+ managed `},
	{"ingest opens owners' keys", `^Ingest(sealed)?Role kms:\S+ DataKey`},
	{"jwks can more than read public keys", `^JwksRole (?:dynamodb|s3|ssm|rds-db):|^JwksRole kms:(?:Decrypt|Encrypt|Sign|Generate)`},
	{"authorize can more than read what apps are", `^AuthorizeRole (?:kms|s3|rds-db|cognito-idp|apigateway):|^AuthorizeRole dynamodb:\S+ (?:Keys|Readings|Requests|AuditEvents)Table|^AuthorizeRole dynamodb:(?:GetItem|Query|Scan|PutItem|UpdateItem|DeleteItem)|^AuthorizeRole dynamodb:BatchGetItem AccountsTable\.Arn(?:$| if .*(?:user|identity|session|organisation)#)`},
	{"enrol opens owners' keys", `^EnrolRole kms:Decrypt`},
	{"keykeeper opens a key", `^KeykeeperRole kms:Decrypt`},
	{"ingest reads what is stored", `^Ingest(sealed)?Role (dynamodb:(GetItem|Query|Scan|BatchGetItem) ReadingsTable|s3:GetObject)`},
	{"somebody but enrol and keykeeper writes Keys", `^(?:Ingest|Ingestsealed|Readings|Project|History|Sharing|Devices|Admin|Sequencer|Audit)Role dynamodb:(PutItem|UpdateItem|DeleteItem|BatchWriteItem) KeysTable`},
	{"admin reads or writes owners", `^AdminRole dynamodb:\S+ AccountsTable\.Arn(?: if .*user#.*)?$`},
	{"admin uses a key", `^AdminRole kms:`},
	{"ingest reads or replaces whatever it likes of Requests: limits and what the sentinel has counted, too", `^Ingest(sealed)?Role dynamodb:(GetItem|PutItem) RequestsTable\.Arn$`},
	{"somebody but admin makes clients or API keys", `^(?:Ingest|Ingestsealed|Jwks|Readings|Project|History|Keykeeper|Enrol|Migrate|Devices|Sharing)Role (?:cognito-idp|apigateway):`},
	{"somebody but enrol and sharing writes Accounts", `^(?:Ingest|Ingestsealed|Readings|Project|History|Keykeeper|Sequencer|Audit)Role dynamodb:(PutItem|UpdateItem|DeleteItem|BatchWriteItem) AccountsTable`},
	{"somebody reads or changes audit events", `^\S+ dynamodb:(GetItem|Query|Scan|UpdateItem|DeleteItem) AuditEventsTable`},
	{"somebody deletes", `^\S+ (dynamodb:Delete|s3:Delete|kms:ScheduleKeyDeletion)`},
	{"somebody but enrol signs", `^(?:Ingest|Ingestsealed|Readings|Project|History|Keykeeper|Sharing|Admin|Audit)Role kms:Sign`},
	{"sequencer signs for another than the log", `^SequencerRole kms:Sign (?:Enrolment|Receipt|Pairing)Key`},
	{"somebody but the sequencer signs for the log", `^(?:Enrol|Devices)Role kms:Sign LogKey`},
	{"who writes or shows the audit log opens readings", `^(?:Sequencer|Audit)Role (?:kms:Decrypt (?:DataKey|WriterKey)|\S+ (?:ReadingsTable|\$\{Documents))`},
	{"the sequencer sees more of requests than what they may store", `^SequencerRole dynamodb:\S+ RequestsTable`},
	{"who writes or shows the audit log sees owners' keys", `^(?:Sequencer|Audit)Role dynamodb:\S+ KeysTable\.Arn$`},
	{"the sequencer sees more of owners' keys than whose they are", `^SequencerRole dynamodb:(?:Query|Scan|BatchGetItem) KeysTable`},
	{"somebody but the sequencer looks into CloudTrail, or anybody changes what it records", `^\S+ cloudtrail:`},
	{"devices opens or makes a key", `^DevicesRole kms:(Decrypt|Generate|ReEncrypt|Encrypt)`},
	{"devices signs for another than trackers", `^DevicesRole kms:Sign EnrolmentKey`},
	{"devices reads or writes readings, or keys", `^DevicesRole \S+ (ReadingsTable|KeysTable|\$\{Documents)`},
	{"devices writes anything in Accounts or Requests", `^DevicesRole dynamodb:(PutItem|UpdateItem|DeleteItem) (AccountsTable|RequestsTable)\.Arn$`},
	{"devices writes identities or apps", `^DevicesRole dynamodb:\S+ AccountsTable\.Arn if .*(identity|app)#`},
	{"sharing uses a key, or sees what is stored", `^SharingRole (?:kms:|s3:|rds-db:|\S+ (?:Keys|Readings|Requests)Table)`},
	{"sharing puts a document whole that decides: it changes only what its owner says", `^SharingRole dynamodb:PutItem AccountsTable.*(?:user|identity|app)#`},
	{"admin says whose account an identity is, or writes of it what it need not", `^AdminRole dynamodb:\S+ AccountsTable.*Attributes:\[[^\]]*\buser\b|^AdminRole dynamodb:(?:PutItem|DeleteItem) .*identity#`},
	{"consents are changed by somebody but enrol, or an owner's key by anybody", `^(?:Sharing|Devices|Admin)Role dynamodb:.*Attributes:\[[^\]]*\bconsents\b|Attributes:\[[^\]]*\b(?:data_key|expires)\b`},
	{"sharing says who somebody is, or what an app may", `^SharingRole .*(?:identity|app)#`},
	{"sharing has all of Accounts", `^SharingRole dynamodb:(?:PutItem|UpdateItem|Query) AccountsTable\S*$`},
	{"a key is used without naming its purpose", `^\S+ kms:(Decrypt|Generate\w+) \S+$`},
	{"the sentinel reads or changes accounts", `^SentinelRole dynamodb:\S+ (?:Accounts|Keys|Readings)Table`},
	{"the sentinel uses a key", `^SentinelRole kms:`},
	{"somebody silences or reads signals", `^\S+ (?:cloudwatch|sns|xray|tag):|^\S+ kms:\S+ SignalsKey`},
	{"readers write readings", `^(?:Readings|Project|History)Role dynamodb:(PutItem|UpdateItem) (ReadingsTable|RequestsTable|KeysTable|AccountsTable)`},
}

// unscoped is what AWS lists as a whole or not at all.
var unscoped = regexp.MustCompile(`^\S+ ec2:(DescribeNetworkInterfaces|DescribeSubnets) \*$`)

// What is deleted: a failure that did not fail again; from a list, what was withdrawn; an
// unpaired tracker's counter.
const (
	mended   = "ProjectRole s3:DeleteObject ${FailuresBucket.Arn}/*"
	left     = "SharingRole dynamodb:DeleteItem AccountsTable.Arn if map[ForAllValues:StringLike:map[dynamodb:LeadingKeys:[shared#*]] Null:map[dynamodb:LeadingKeys:false]]"
	unpaired = "DevicesRole dynamodb:DeleteItem RequestsTable.Arn if map[ForAllValues:StringLike:map[dynamodb:LeadingKeys:[counter#*]]]"
)

// What the sequencer may do with stored events: read them, and mark them.
const (
	takes = "SequencerRole dynamodb:Query AuditEventsTable.Arn"
	marks = "SequencerRole dynamodb:UpdateItem AuditEventsTable.Arn if map[ForAllValues:StringEquals:map[dynamodb:Attributes:[shard id leaf mark expires charged sign-in address rejected]] Null:map[dynamodb:Attributes:false]]"
)

// What it may read of requests: what an upload may store.
const claims = "SequencerRole dynamodb:GetItem RequestsTable.Arn if map[ForAllValues:StringEquals:map[dynamodb:Attributes:[key manifest]] Null:map[dynamodb:Attributes:false] StringEqualsIfExists:map[dynamodb:Select:SPECIFIC_ATTRIBUTES]]"

// What it may see of who used keys, and of whose those are.
const (
	looks  = "SequencerRole cloudtrail:LookupEvents *"
	keyIDs = "SequencerRole dynamodb:Query KeysTable.Arn if map[ForAllValues:StringEquals:map[dynamodb:Attributes:[owner key]] Null:map[dynamodb:Attributes:false] StringEquals:map[dynamodb:Select:SPECIFIC_ATTRIBUTES]]"
)

// What the sentinel may read of an account: whose an identity is.
const whose = "SentinelRole dynamodb:GetItem AccountsTable.Arn if map[ForAllValues:StringEquals:map[dynamodb:Attributes:[id document user]] ForAllValues:StringLike:map[dynamodb:LeadingKeys:[identity#*]] " +
	"Null:map[dynamodb:Attributes:false dynamodb:LeadingKeys:false] StringEqualsIfExists:map[dynamodb:Select:SPECIFIC_ATTRIBUTES]]"

// writesLog is a power over the audit log, or over what is kept beside it.
var writesLog = regexp.MustCompile(`^\S+ (?:s3:(?:Put|Delete|Bypass|Abort)\S* \$?\{?AuditLogBucket|dynamodb:(?:Put|Update|Delete|BatchWrite)\S* AuditStateTable)`)

// opens is who may open uploads, and by what.
const opens = "IngestsealedRole kms:Decrypt UploadKey.Arn if map[StringEquals:map[kms:EncryptionAlgorithm:RSAES_OAEP_SHA_256]]"

// beginsSession is what every function behind the edge may: store a session at its first use.
// It could bring back one that has ended; it lets nobody in who has no token.
var beginsSession = regexp.MustCompile(`^(?:Ingest|Ingestsealed|Readings|Enrol|History|Devices|Sharing|Audit)Role dynamodb:PutItem AccountsTable\.Arn if map\[ForAllValues:StringLike:map\[dynamodb:LeadingKeys:\[session#\*\]\] Null:map\[dynamodb:LeadingKeys:false\]\]$`)

// charges is what every function behind the edge may besides: charge buckets. It could
// lock a caller out or let one go on; it shows and decides nothing else.
var charges = regexp.MustCompile(`^(?:Ingest|Ingestsealed|Readings|Enrol|History|Devices|Sharing|Admin)Role dynamodb:(?:GetItem|UpdateItem) RequestsTable\.Arn if map\[ForAllValues:StringLike:map\[dynamodb:LeadingKeys:\[limit#\*\]\] Null:map\[dynamodb:LeadingKeys:false\]\]$`)

// decides is a power to change documents that several functions write parts of.
var decides = regexp.MustCompile(`^(?:Admin|Devices|Enrol|Sharing)Role dynamodb:UpdateItem AccountsTable\.Arn.*(?:user|identity)#`)

func forbiddenGrants(grants []string) (wrong []string) {
	for _, g := range grants {
		if decides.MatchString(g) && !strings.Contains(g, "dynamodb:Attributes:[") {
			wrong = append(wrong, "somebody changes more of a document that decides than is his: "+g)
		}
		if writesLog.MatchString(g) && !strings.HasPrefix(g, "SequencerRole ") {
			wrong = append(wrong, "somebody but the sequencer writes the audit log: "+g)
		}
		if strings.Contains(g, " UploadKey") && !strings.Contains(g, "kms:GetPublicKey") && g != opens {
			wrong = append(wrong, "somebody else opens uploads, or by another algorithm: "+g)
		}
		role, action, _ := strings.Cut(g, " ")
		if own := "/fitvault_" + strings.ToLower(strings.TrimSuffix(role, "Role")); strings.HasPrefix(action, "rds-db:") && !strings.HasSuffix(g, own) {
			wrong = append(wrong, "somebody signs in to the database as another: "+g)
		}
		api, on, _ := strings.Cut(action, " ")
		own := strings.TrimSuffix(role, "Role") + "Logs.Arn"
		if strings.HasPrefix(api, "logs:") && (api != "logs:CreateLogStream" && api != "logs:PutLogEvents" || on != own) {
			wrong = append(wrong, "somebody does more with logs than write his own: "+g)
		}
		if strings.HasPrefix(api, "ec2:") && !slices.Contains(grants, fmt.Sprintf("denied %s %s * if map[Null:map[lambda:SourceFunctionArn:false]]", role, api)) {
			wrong = append(wrong, "a function's own code changes its network: "+g)
		}
	}
	grants = slices.DeleteFunc(slices.Clone(grants), func(g string) bool {
		return strings.HasPrefix(g, "denied ") || unscoped.MatchString(g) || beginsSession.MatchString(g) || charges.MatchString(g) || g == mended || g == left || g == unpaired || g == takes || g == marks || g == claims || g == looks || g == keyIDs || g == whose
	})
	for _, f := range forbidden {
		for _, g := range grants {
			if regexp.MustCompile(f.pattern).MatchString(g) {
				wrong = append(wrong, f.why+": "+g)
			}
		}
	}
	return wrong
}

func TestRolesAreAsListed(t *testing.T) {
	grants := grantsOf(readTemplate(t))
	got := strings.Join(grants, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile("testdata/roles.txt", []byte(got), 0o644)) //nolint:gosec // a public golden file
	}
	want, err := os.ReadFile("testdata/roles.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), got, "if the change is meant, run `make generate` and read its diff")
	require.Empty(t, forbiddenGrants(grants))
}

func TestForbiddenGrantsAreFound(t *testing.T) {
	for _, planted := range []string{
		"IngestsealedRole kms:Decrypt DataKey.Arn if map[a:b]", "IngestRole kms:Decrypt UploadKey.Arn if map[StringEquals:map[kms:EncryptionAlgorithm:RSAES_OAEP_SHA_256]]",
		"IngestsealedRole kms:Decrypt UploadKey.Arn if map[a:b]", "IngestsealedRole s3:GetObject x", "JwksRole dynamodb:GetItem KeysTable.Arn", "JwksRole kms:Sign EnrolmentKey.Arn",
		"AuthorizeRole kms:Sign X", "AuthorizeRole dynamodb:BatchGetItem AccountsTable.Arn", "AuthorizeRole dynamodb:PutItem AccountsTable.Arn if map[x:[app#*]]", "AuthorizeRole dynamodb:BatchGetItem AccountsTable.Arn if map[x:[app#* user#*]]",
		"IngestRole dynamodb:* ReadingsTable.Arn", "IngestRole dynamodb:PutItem *", "IngestRole managed AmazonS3FullAccess",
		"IngestRole kms:Decrypt DataKey.Arn if map[a:b]", "EnrolRole kms:Decrypt DataKey.Arn if map[a:b]", "KeykeeperRole kms:Decrypt WriterKey.Arn if map[a:b]",
		"IngestRole dynamodb:Query ReadingsTable.Arn", "IngestRole s3:GetObject x", "ReadingsRole dynamodb:PutItem KeysTable.Arn",
		"IngestRole dynamodb:UpdateItem AccountsTable.Arn", "ReadingsRole dynamodb:Query AuditEventsTable.Arn", "EnrolRole dynamodb:DeleteItem KeysTable.Arn",
		"IngestRole kms:Sign EnrolmentKey.Arn", "ProjectRole s3:DeleteObject ${DocumentsBucket.Arn}/*", "ReadingsRole s3:DeleteObject ${FailuresBucket.Arn}/*", "ProjectRole s3:DeleteObject *", "ReadingsRole kms:Decrypt DataKey.Arn", "ReadingsRole dynamodb:PutItem ReadingsTable.Arn",
		"AdminRole dynamodb:BatchGetItem AccountsTable.Arn", "AdminRole dynamodb:UpdateItem AccountsTable.Arn if map[ForAllValues:StringLike:map[dynamodb:LeadingKeys:[user#*]]]",
		"AdminRole dynamodb:UpdateItem AccountsTable.Arn if map[x:[identity#*]]", "AdminRole dynamodb:UpdateItem AccountsTable.Arn if map[dynamodb:Attributes:[id document user] x:[identity#*]]",
		"AdminRole dynamodb:PutItem AccountsTable.Arn if map[x:[identity#*]]", "DevicesRole dynamodb:UpdateItem AccountsTable.Arn if map[x:[device#* user#*]]",
		"SharingRole dynamodb:UpdateItem AccountsTable.Arn if map[x:[user#*]]", "SharingRole dynamodb:UpdateItem AccountsTable.Arn if map[dynamodb:Attributes:[id document consents] x:[user#*]]",
		"EnrolRole dynamodb:UpdateItem AccountsTable.Arn if map[x:[identity#* user#*]]", "EnrolRole dynamodb:UpdateItem AccountsTable.Arn if map[dynamodb:Attributes:[id document data_key] x:[user#*]]",
		"SharingRole dynamodb:DeleteItem AccountsTable.Arn if map[ForAllValues:StringLike:map[dynamodb:LeadingKeys:[shared#* user#*]] Null:map[dynamodb:LeadingKeys:false]]",
		"AdminRole kms:Decrypt DataKey.Arn if map[a:b]", "EnrolRole apigateway:POST x", "ReadingsRole cognito-idp:CreateUserPoolClient UserPool.Arn",
		"SharingRole kms:Decrypt ServiceKey.Arn if map[a:b]", "SharingRole dynamodb:Query ReadingsTable.Arn", "SharingRole dynamodb:UpdateItem AccountsTable.Arn",
		"SharingRole dynamodb:UpdateItem AccountsTable.Arn if map[x:[app#*]]", "SharingRole dynamodb:PutItem AccountsTable.Arn if map[x:[user#*]]",
		"ReadingsRole dynamodb:PutItem AccountsTable.Arn if map[ForAllValues:StringLike:map[dynamodb:LeadingKeys:[session#* user#*]] Null:map[dynamodb:LeadingKeys:false]]",
		"KeykeeperRole dynamodb:PutItem AccountsTable.Arn if map[ForAllValues:StringLike:map[dynamodb:LeadingKeys:[session#*]] Null:map[dynamodb:LeadingKeys:false]]",
		"IngestRole logs:GetLogEvents IngestLogs.Arn", "IngestRole logs:FilterLogEvents IngestLogs.Arn", "IngestRole logs:StartQuery IngestLogs.Arn", "IngestRole logs:PutLogEvents ReadingsLogs.Arn",
		"IngestRole logs:PutRetentionPolicy IngestLogs.Arn", "IngestRole logs:DeleteLogStream IngestLogs.Arn", "IngestRole cloudwatch:PutMetricData x", "IngestRole kms:Decrypt SignalsKey.Arn if map[a:b]",
		"AuditRole s3:PutObject ${AuditLogBucket.Arn}/*", "ReadingsRole dynamodb:PutItem AuditStateTable.Arn", "SequencerRole dynamodb:UpdateItem AuditEventsTable.Arn", "SequencerRole s3:DeleteObject ${AuditLogBucket.Arn}/*",
		"SequencerRole kms:Sign EnrolmentKey.Arn", "EnrolRole kms:Sign LogKey.Arn", "AuditRole kms:Sign LogKey.Arn", "AuditRole kms:Decrypt DataKey.Arn if map[a:b]", "SequencerRole dynamodb:Query ReadingsTable.Arn", "AuditRole dynamodb:GetItem KeysTable.Arn",
		"SequencerRole dynamodb:GetItem RequestsTable.Arn", "SequencerRole dynamodb:GetItem RequestsTable.Arn if map[ForAllValues:StringEquals:map[dynamodb:Attributes:[key manifest body]] Null:map[dynamodb:Attributes:false]]",
		"AuditRole dynamodb:Query AuditEventsTable.Arn", "AuditRole cloudtrail:LookupEvents *", "SequencerRole cloudtrail:StopLogging x",
		"SequencerRole dynamodb:Query KeysTable.Arn if map[ForAllValues:StringEquals:map[dynamodb:Attributes:[owner key wrapped]] Null:map[dynamodb:Attributes:false] StringEquals:map[dynamodb:Select:SPECIFIC_ATTRIBUTES]]",
		"SentinelRole dynamodb:GetItem AccountsTable.Arn", "SentinelRole kms:Decrypt DataKey.Arn if map[a:b]",
		"SentinelRole dynamodb:GetItem AccountsTable.Arn if map[ForAllValues:StringEquals:map[dynamodb:Attributes:[id document user roles]] x:[identity#*]]",
		"SentinelRole logs:GetLogEvents PeoplePoolLogs.Arn", "AuditRole logs:FilterLogEvents StaffPoolLogs.Arn",
		"ReadingsRole dynamodb:UpdateItem RequestsTable.Arn", "SharingRole dynamodb:GetItem RequestsTable.Arn",
		"ReadingsRole dynamodb:UpdateItem RequestsTable.Arn if map[ForAllValues:StringLike:map[dynamodb:LeadingKeys:[limit#* counter#*]] Null:map[dynamodb:LeadingKeys:false]]",
		"ReadingsRole dynamodb:PutItem RequestsTable.Arn if map[ForAllValues:StringLike:map[dynamodb:LeadingKeys:[limit#*]] Null:map[dynamodb:LeadingKeys:false]]",
		"IngestRole dynamodb:PutItem RequestsTable.Arn", "IngestsealedRole dynamodb:GetItem RequestsTable.Arn",
		"HistoryRole rds-db:connect dbuser:${Cluster}/fitvault_migrate", "HistoryRole rds-db:connect *", "MigrateRole ec2:CreateNetworkInterface x", "MigrateRole ec2:DescribeSubnets *",
	} {
		require.NotEmpty(t, forbiddenGrants([]string{planted}), planted)
	}
}

// misplaced returns functions without a folder, folders without a function,
// functions without a role of their own, and secrets in the environment.
func misplaced(tpl contract.Template, folders []string) (wrong []string) {
	functions := tpl.Functions()
	for _, f := range folders {
		if functions[f] == "" {
			wrong = append(wrong, "functions/"+f+" has no entry in template.yaml")
		}
	}
	roles := map[string]string{}
	for folder, id := range functions {
		if !slices.Contains(folders, folder) {
			wrong = append(wrong, id+" has no folder")
		}
		role := fmt.Sprint(tpl.Resources[id].Properties["Role"])
		if other, taken := roles[role]; taken || !strings.HasSuffix(role, ".Arn") {
			wrong = append(wrong, id+" has no role of its own: "+role+other)
		}
		roles[role] = id
		env, _ := tpl.Resources[id].Properties["Environment"].(map[string]any)
		variables, _ := env["Variables"].(map[string]any)
		for name := range variables {
			if secretName.MatchString(name) {
				wrong = append(wrong, id+" has a secret in its environment: "+name)
			}
		}
	}
	sort.Strings(wrong)
	return wrong
}

// secretName is what a secret would be called. ARNs, names and URLs of keys are none.
var secretName = regexp.MustCompile(`(?i)(SECRET|PASSWORD|PRIVATE|CREDENTIAL|TOKEN$|_KEY$|API_KEY|DATABASE_URL)`)

func TestFunctionsAndFolders(t *testing.T) {
	var folders []string
	mains, err := filepath.Glob("../functions/*/main.go")
	require.NoError(t, err)
	for _, m := range mains {
		folders = append(folders, filepath.Base(filepath.Dir(m)))
	}
	tpl := readTemplate(t)
	require.Empty(t, misplaced(tpl, folders))
	require.Equal(t, []string{"functions/planted has no entry in template.yaml"}, misplaced(tpl, append(slices.Clone(folders), "planted")))

	planted, err := contract.ParseTemplate([]byte(`
Resources:
  A: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/a, Role: !GetAtt OneRole.Arn, Environment: {Variables: {API_KEY: x}}}}
  B: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/b, Role: !GetAtt TwoRole.Arn}}
  C: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/c, Policies: [AmazonS3FullAccess]}}
`))
	require.NoError(t, err)
	require.Equal(t, []string{"A has a secret in its environment: API_KEY", "B has no folder", "C has no role of its own: <nil>"}, misplaced(planted, []string{"a", "c"}))
}

// TestWhatLocalStackDrops asserts on the text what the local AWS accepts and forgets.
func TestWhatLocalStackDrops(t *testing.T) {
	for id, r := range readTemplate(t).Resources {
		switch r.Type {
		case "AWS::DynamoDB::Table":
			require.Equal(t, map[string]any{"SSEEnabled": true}, r.Properties["SSESpecification"], id)
			if id == "RequestsTable" { // expires by itself and is never restored
				require.Contains(t, r.Properties, "TimeToLiveSpecification")
				continue
			}
			require.Equal(t, true, r.Properties["DeletionProtectionEnabled"], id)
			require.Equal(t, true, r.Properties["PointInTimeRecoverySpecification"].(map[string]any)["PointInTimeRecoveryEnabled"], id)
		case "AWS::KMS::Key":
			require.Equal(t, true, r.Properties["MultiRegion"], id)
			if r.Properties["KeySpec"] == nil {
				require.Equal(t, true, r.Properties["EnableKeyRotation"], id)
			}
		case "AWS::S3::Bucket":
			require.Contains(t, r.Properties, "BucketEncryption", id)
			require.Len(t, r.Properties["PublicAccessBlockConfiguration"], 4, id)
		case "AWS::Logs::LogGroup":
			if poolLogs[id] != "" {
				continue // TestSubscriptions
			}
			require.Contains(t, r.Properties, "RetentionInDays", id)
			require.Equal(t, "SignalsKey.Arn", r.Properties["KmsKeyId"], id)
		case "AWS::SNS::Topic":
			require.Equal(t, "SignalsKey.Arn", r.Properties["KmsMasterKeyId"], id)
		case "AWS::RDS::DBCluster":
			for name, want := range map[string]any{"StorageEncrypted": true, "DeletionProtection": true, "CopyTagsToSnapshot": true, "BackupRetentionPeriod": 35,
				"EnableIAMDatabaseAuthentication": true, "MasterUserAuthenticationType": "iam-db-auth"} {
				require.Equal(t, want, r.Properties[name], "%s %s", id, name)
			}
			require.NotContains(t, r.Properties, "MasterUserPassword", id)
			require.NotEqual(t, true, r.Properties["EnableHttpEndpoint"], id)
		case "AWS::RDS::DBClusterParameterGroup":
			for name, want := range map[string]any{"rds.force_ssl": "1", "ssl_min_protocol_version": "TLSv1.2", "log_statement": "none", "log_error_verbosity": "terse",
				"log_min_error_statement": "panic", "log_min_duration_statement": "-1", "log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0"} {
				require.Equal(t, want, r.Properties["Parameters"].(map[string]any)[name], "%s %s", id, name)
			}
		case "AWS::RDS::DBInstance":
			require.Equal(t, false, r.Properties["PubliclyAccessible"], id)
		}
	}
}

// TestNothingLeadsOut: the functions in the VPC reach AWS through endpoints with
// policies, and nothing else; and what the local AWS cannot make it does not try.
func TestNothingLeadsOut(t *testing.T) {
	tpl := readTemplate(t)
	noProvider := regexp.MustCompile(`^AWS::(EC2|RDS)::`)
	found := map[string]int{}
	for id, r := range tpl.Resources {
		found[r.Type]++
		require.NotRegexp(t, `^AWS::EC2::(InternetGateway|NatGateway|EgressOnlyInternetGateway|Route|TransitGateway.*|VPCPeering.*)$`, r.Type, id)
		if noProvider.MatchString(r.Type) {
			require.Contains(t, []string{"OnAws", "MakeDatabase"}, r.Condition, id)
		}
		if r.Type != "AWS::EC2::VPCEndpoint" {
			continue
		}
		for _, s := range asList(r.Properties["PolicyDocument"].(map[string]any)["Statement"]) {
			statement := s.(map[string]any)
			require.Contains(t, statement["Condition"].(map[string]any)["StringEquals"], "aws:PrincipalAccount", id)
			for _, action := range asList(statement["Action"]) {
				require.NotContains(t, action, "*", id)
			}
			require.NotContains(t, asList(statement["Resource"]), "*", id)
		}
	}
	require.Equal(t, []int{1, 2, 4}, []int{found["AWS::EC2::VPC"], found["AWS::EC2::Subnet"], found["AWS::EC2::VPCEndpoint"]})
	for _, id := range tpl.Functions() {
		env, _ := tpl.Resources[id].Properties["Environment"].(map[string]any)
		variables, _ := env["Variables"].(map[string]any)
		if variables["DATABASE_HOST"] != nil {
			require.NotNil(t, tpl.Resources[id].Properties["VpcConfig"], id)
			require.NotNil(t, tpl.Resources[id].Properties["ReservedConcurrentExecutions"], "%s: it bounds the connections", id)
		}
	}
}

// imaged returns the tables whose stream shows what is stored, but for audit events: by
// that of Readings the sequencer may see names, and nothing that is sealed.
func imaged(tpl contract.Template) (wrong []string) {
	for id, r := range tpl.Resources {
		stream, _ := r.Properties["StreamSpecification"].(map[string]any)
		if stream != nil && stream["StreamViewType"] != "KEYS_ONLY" && id != "AuditEventsTable" {
			wrong = append(wrong, id+" shows what is stored by its stream")
		}
	}
	return wrong
}

func TestStreamsHaveKeysOnly(t *testing.T) {
	tpl := readTemplate(t)
	require.Empty(t, imaged(tpl))
	tpl.Resources["ReadingsTable"].Properties["StreamSpecification"] = map[string]any{"StreamViewType": "NEW_IMAGE"}
	require.Len(t, imaged(tpl), 1)
}
