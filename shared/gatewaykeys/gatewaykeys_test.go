package gatewaykeys_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/apps/appstest"
	"fitvault/shared/fault"
	"fitvault/shared/gatewaykeys"
)

func TestKeysContract(t *testing.T) {
	s := stack.Open(t)
	client, plan := apigateway.NewFromConfig(s.AWS()), s.Output(t, "PartnerPlan")
	appstest.KeysContract(t, gatewaykeys.Keys{Client: client, Plan: plan}, func(t *testing.T) map[string]string {
		values := map[string]string{}
		of, err := client.GetUsagePlanKeys(t.Context(), &apigateway.GetUsagePlanKeysInput{UsagePlanId: &plan, Limit: aws.Int32(500)})
		require.NoError(t, err)
		for _, k := range of.Items {
			found, err := client.GetApiKey(t.Context(), &apigateway.GetApiKeyInput{ApiKey: k.Id, IncludeValue: aws.Bool(true)})
			if err == nil { // the stand-in keeps a deleted key's place in the plan
				values[*k.Id] = aws.ToString(found.Value)
			}
		}
		return values
	})
}

// answers is what the gateway says, by method and path.
type answers map[string]struct {
	status int
	body   string
}

func (a answers) Do(r *http.Request) (*http.Response, error) {
	found, ok := a[r.Method+" "+r.URL.Path]
	if !ok {
		return nil, errors.New("no connection")
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if found.status == 404 {
		header.Set("X-Amzn-Errortype", "NotFoundException")
	}
	return &http.Response{StatusCode: found.status, Header: header, Body: io.NopCloser(strings.NewReader(found.body)), Request: r}, nil
}

func stubbed(a answers) gatewaykeys.Keys {
	return gatewaykeys.Keys{Plan: "plan", Client: apigateway.New(apigateway.Options{Region: "eu-central-1", HTTPClient: a, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("an id", "a secret of some length", "")})}
}

func TestGatewayFails(t *testing.T) {
	for name, test := range map[string]struct {
		answers answers
		want    fault.Kind
	}{
		"no connection":   {nil, fault.Unavailable},
		"refused":         {answers{"POST /apikeys": {400, `{"message": "canary"}`}}, fault.Unavailable},
		"no id":           {answers{"POST /apikeys": {201, `{}`}}, fault.Internal},
		"not in its plan": {answers{"POST /apikeys": {201, `{"id": "k"}`}, "POST /usageplans/plan/keys": {429, `{"message": "canary"}`}, "DELETE /apikeys/k": {202, ``}}, fault.Unavailable},
		"nor taken back":  {answers{"POST /apikeys": {201, `{"id": "k"}`}, "POST /usageplans/plan/keys": {429, `{}`}}, fault.Unavailable},
	} {
		id, err := stubbed(test.answers).Create(t.Context(), "label", "value")
		require.Equal(t, test.want, fault.KindOf(err), name)
		require.Empty(t, id)
		for ; err != nil; err = errors.Unwrap(err) {
			require.NotContains(t, err.Error(), "canary", name)
		}
	}
	require.NoError(t, stubbed(answers{"DELETE /apikeys/k": {404, `{}`}}).Delete(t.Context(), "k"))
	require.Equal(t, fault.Unavailable, fault.KindOf(stubbed(nil).Delete(t.Context(), "k")))
}
