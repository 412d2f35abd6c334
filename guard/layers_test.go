// Package guard holds tests of the house itself: what may import what, what
// each role may do, and that the contract, the template, the handlers and the
// events name the same things. Each check is a function that returns what is
// wrong, so that each is also run on a planted violation and must find it.
package guard

import (
	"os/exec"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// domain packages know no AWS, no HTTP and no SQL.
var domain = []string{"access", "apps", "auditlog", "auditlog/record", "auditlog/sequence", "auditlog/sequence/sequencetest", "auditlog/tiles", "auditlog/verify", "block", "consent", "days", "fault", "gpx", "gzipbody", "intake", "jwks", "keyring", "limit", "metrics", "opening", "openmhealth", "openmhealth/generate", "pairing", "pairing/label", "pairing/tracker", "reading", "receipt", "recording", "redact", "sealedupload", "segment", "sentinel", "sharing", "signedpayload", "strictxml", "tcx", "usertext", "vault"}

// technology is the one library that each adapter (and the edge) may import.
// boot puts adapters together, so it may import them and all of AWS.
var technology = map[string][]string{
	"edge":         {"github.com/aws/aws-lambda-go/events", "github.com/awslabs/aws-lambda-go-api-proxy/", "net/http"},
	"edge/uploads": {"net/http"},
	"stream":       {},
	"dynamo":       {"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/dynamodb", "github.com/aws/smithy-go"},
	"kmskeys":      {"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/kms"},
	"objects":      {"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/s3", "github.com/aws/smithy-go"},
	"cognito":      {"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"},
	"gatewaykeys":  {"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/apigateway"},
	"params":       {"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/ssm"},
	"trail":        {"github.com/aws/aws-sdk-go-v2/aws", "github.com/aws/aws-sdk-go-v2/service/cloudtrail"},
	"boot":         {"github.com/aws/aws-sdk-go-v2/"},
	"boot/intakes": {}, // apart from boot, so that functions without intake carry no schemas
	// Apart from boot, so that functions without SQL carry no driver.
	"boot/database": {"github.com/aws/aws-sdk-go-v2/feature/rds/auth"},

	"postgres":            {"github.com/jackc/pgx/v5"},
	"postgres/query":      {"github.com/jackc/pgx/v5"},
	"postgres/migrations": {"github.com/jackc/pgx/v5", "github.com/pressly/goose/v3"},
}

// outside is what only technology may reach.
var outside = []string{"github.com/aws/", "github.com/awslabs/", "net/http", "database/sql", "github.com/jackc/", "github.com/pressly/"}

func hasPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// tree is the adapter that a package is of: its own packages may use each other.
func tree(name string) string {
	top, _, _ := strings.Cut(name, "/")
	return top
}

// strays returns each import that goes up or sideways. imports is by package,
// of packages under fitvault/shared.
func strays(imports map[string][]string) (wrong []string) {
	inDomain := map[string]bool{}
	for _, p := range domain {
		inDomain[p] = true
	}
	for pkg, list := range imports {
		name := strings.TrimPrefix(pkg, "fitvault/shared/")
		if parent, child, ok := strings.Cut(name, "/"); ok && child == parent+"test" {
			name = parent // a package's own test support is in its layer
		}
		allowed, adapter := technology[name]
		if !inDomain[name] && !adapter {
			wrong = append(wrong, pkg+" is in no layer")
			continue
		}
		for _, i := range list {
			own, inside := strings.CutPrefix(i, "fitvault/")
			shared := strings.TrimPrefix(own, "shared/")
			switch {
			case inside && (inDomain[shared] || tree(name) == "boot" || tree(shared) == tree(name)):
			case inside:
				wrong = append(wrong, pkg+" imports "+i)
			case hasPrefix(i, outside) && !hasPrefix(i, allowed):
				wrong = append(wrong, pkg+" imports "+i)
			}
		}
	}
	sort.Strings(wrong)
	return wrong
}

func TestLayers(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}\t{{join .Imports \" \"}}", "fitvault/shared/...").Output()
	require.NoError(t, err)
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		pkg, list, _ := strings.Cut(strings.TrimSpace(line), "\t")
		imports[pkg] = strings.Fields(list)
	}
	require.Greater(t, len(imports), 10)
	require.Empty(t, strays(imports))
}

func TestLayersFindsPlantedViolations(t *testing.T) {
	for planted, want := range map[string]string{
		"net/http":     "fitvault/shared/vault imports net/http",
		"database/sql": "fitvault/shared/vault imports database/sql",
		"github.com/aws/aws-sdk-go-v2/service/kms": "fitvault/shared/vault imports github.com/aws/aws-sdk-go-v2/service/kms",
		"fitvault/shared/dynamo":                   "fitvault/shared/vault imports fitvault/shared/dynamo",
		"fitvault/functions/ingest":                "fitvault/shared/vault imports fitvault/functions/ingest",
	} {
		require.Equal(t, []string{want}, strays(map[string][]string{"fitvault/shared/vault": {"fmt", planted}}))
	}
	require.Equal(t, []string{"fitvault/shared/dynamo imports fitvault/shared/objects", "fitvault/shared/dynamo imports github.com/aws/aws-sdk-go-v2/service/kms"},
		strays(map[string][]string{"fitvault/shared/dynamo": {"fitvault/shared/objects", "github.com/aws/aws-sdk-go-v2/service/kms"}}))
	require.Equal(t, []string{"fitvault/shared/new is in no layer"}, strays(map[string][]string{"fitvault/shared/new": nil}))
}
