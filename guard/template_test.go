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

// grants returns every action that a role has, one line for each action and
// resource, with its condition: "IngestRole kms:Decrypt ServiceKey.Arn if …".
func grantsOf(tpl contract.Template) (lines []string) {
	for id, r := range tpl.Resources {
		if r.Type != "AWS::IAM::Role" {
			continue
		}
		for _, p := range asList(r.Properties["Policies"]) {
			for _, s := range asList(p.(map[string]any)["PolicyDocument"].(map[string]any)["Statement"]) {
				statement := s.(map[string]any)
				condition := ""
				if c, ok := statement["Condition"]; ok {
					condition = fmt.Sprintf(" if %v", c)
				}
				for _, action := range asList(statement["Action"]) {
					for _, on := range asList(statement["Resource"]) {
						lines = append(lines, fmt.Sprintf("%s %s %v%s", id, action, on, condition))
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
	{"ingest opens owners' keys", `^IngestRole kms:\S+ DataKey`},
	{"enrol opens owners' keys", `^EnrolRole kms:Decrypt`},
	{"keykeeper opens a key", `^KeykeeperRole kms:Decrypt`},
	{"ingest reads what is stored", `^IngestRole (dynamodb:(GetItem|Query|Scan|BatchGetItem) ReadingsTable|s3:GetObject)`},
	{"somebody but enrol and keykeeper writes Keys", `^(?:Ingest|Readings)Role dynamodb:(PutItem|UpdateItem|DeleteItem|BatchWriteItem) KeysTable`},
	{"somebody but enrol writes Accounts", `^(?:Ingest|Readings|Keykeeper)Role dynamodb:(PutItem|UpdateItem|DeleteItem|BatchWriteItem) AccountsTable`},
	{"somebody reads or changes audit events", `^\S+ dynamodb:(GetItem|Query|Scan|UpdateItem|DeleteItem) AuditEventsTable`},
	{"somebody deletes", `^\S+ (dynamodb:Delete|s3:Delete|kms:ScheduleKeyDeletion)`},
	{"somebody but enrol signs", `^(?:Ingest|Readings|Keykeeper)Role kms:Sign`},
	{"a key is used without naming its purpose", `^\S+ kms:(Decrypt|Generate\w+) \S+$`},
	{"readers write readings", `^ReadingsRole dynamodb:(PutItem|UpdateItem) (ReadingsTable|RequestsTable|KeysTable|AccountsTable)`},
}

func forbiddenGrants(grants []string) (wrong []string) {
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
		"IngestRole dynamodb:* ReadingsTable.Arn", "IngestRole dynamodb:PutItem *", "IngestRole managed AmazonS3FullAccess",
		"IngestRole kms:Decrypt DataKey.Arn if map[a:b]", "EnrolRole kms:Decrypt DataKey.Arn if map[a:b]", "KeykeeperRole kms:Decrypt WriterKey.Arn if map[a:b]",
		"IngestRole dynamodb:Query ReadingsTable.Arn", "IngestRole s3:GetObject x", "ReadingsRole dynamodb:PutItem KeysTable.Arn",
		"IngestRole dynamodb:UpdateItem AccountsTable.Arn", "ReadingsRole dynamodb:Query AuditEventsTable.Arn", "EnrolRole dynamodb:DeleteItem KeysTable.Arn",
		"IngestRole kms:Sign EnrolmentKey.Arn", "ReadingsRole kms:Decrypt DataKey.Arn", "ReadingsRole dynamodb:PutItem ReadingsTable.Arn",
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
			require.Contains(t, r.Properties, "RetentionInDays", id)
		}
	}
}
