package params_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/params"
)

// TestParameter uses a parameter of its own on the local stack.
func TestParameter(t *testing.T) {
	client := ssm.NewFromConfig(stack.Open(t).AWS())
	p := params.Parameter{Client: client, Name: fmt.Sprint("/test/", time.Now().UnixNano())}
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	_, err := p.Value(t.Context())
	require.Error(t, err, "there is none")

	// The template makes the parameter; the adapter only replaces its text.
	_, err = client.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String(p.Name), Value: aws.String(`{"keys":[]}`), Type: types.ParameterTypeString})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := client.DeleteParameter(context.Background(), &ssm.DeleteParameterInput{Name: aws.String(p.Name)})
		require.NoError(t, err)
	})
	for _, text := range []string{"one", "two", strings.Repeat("x", 4096)} {
		require.NoError(t, p.Put(t.Context(), text))
		found, err := p.Value(t.Context())
		require.NoError(t, err)
		require.Equal(t, text, found)
	}
	require.NoError(t, p.PutSecret(t.Context(), "a secret"))
	out, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String(p.Name)})
	require.NoError(t, err)
	require.Equal(t, types.ParameterTypeSecureString, out.Parameter.Type)
	require.NotEqual(t, "a secret", aws.ToString(out.Parameter.Value), "to who does not ask for it decrypted")
	found, err := p.Value(t.Context())
	require.NoError(t, err)
	require.Equal(t, "a secret", found)
	require.Error(t, p.PutSecret(ended, "another"))
	require.Error(t, p.Put(ended, "three"))
	_, err = p.Value(ended)
	require.Error(t, err)
}
