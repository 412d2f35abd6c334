package guard

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// mayBeLogged is what the gateway's access log may say of a request: what the service itself
// knows, nothing that a caller chose (a path, a header), and nothing about a person (a
// subject, an address).
var mayBeLogged = []string{
	"requestId", "requestTimeEpoch", "httpMethod", "resourcePath", "status", "error.responseType",
	"identity.apiKeyId", "responseLatency", "responseLength",
}

func TestTheAccessLogSaysNothingAboutAPerson(t *testing.T) {
	text, err := os.ReadFile("../template.yaml")
	require.NoError(t, err)
	format := regexp.MustCompile(`(?m)^ +Format: '(.*)'$`).FindAllSubmatch(text, -1)
	require.Len(t, format, 1)
	found := regexp.MustCompile(`\$context\.([A-Za-z.]+)`).FindAllSubmatch(format[0][1], -1)
	require.NotEmpty(t, found)
	for _, variable := range found {
		require.Contains(t, mayBeLogged, string(variable[1]))
	}
}
