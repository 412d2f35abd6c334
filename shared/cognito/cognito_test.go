package cognito_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/apps/appstest"
	"fitvault/shared/cognito"
	"fitvault/shared/fault"
)

func TestClientsContract(t *testing.T) {
	s := stack.Open(t)
	client := cognitoidentityprovider.NewFromConfig(s.AWS(), func(o *cognitoidentityprovider.Options) { o.BaseEndpoint = &s.Endpoints.Cognito })
	clients := cognito.Clients{Client: client, Pool: s.UserPool}
	appstest.ClientsContract(t, clients, func(t *testing.T, id string, w apps.Wanted) {
		out, err := client.DescribeUserPoolClient(t.Context(), &cognitoidentityprovider.DescribeUserPoolClientInput{UserPoolId: &s.UserPool, ClientId: &id})
		require.NoError(t, err)
		made := out.UserPoolClient
		require.ElementsMatch(t, w.Scopes, made.AllowedOAuthScopes)
		require.ElementsMatch(t, w.RedirectURIs, made.CallbackURLs)
		flow := types.OAuthFlowTypeCode
		if w.Kind == access.SystemApp {
			flow = types.OAuthFlowTypeClientCredentials
		}
		require.Equal(t, []types.OAuthFlowType{flow}, made.AllowedOAuthFlows)
	})
}

// answer is what Cognito says to every request; asked is the last request's body.
type answer struct {
	status int
	body   string
	err    error
	asked  *string
}

func (a answer) Do(r *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	if a.asked != nil {
		b, _ := io.ReadAll(r.Body)
		*a.asked = string(b)
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func stubbed(a answer) cognito.Clients {
	return cognito.Clients{Pool: "eu-central-1_people", Client: cognitoidentityprovider.New(cognitoidentityprovider.Options{Region: "eu-central-1", HTTPClient: a,
		Retryer: aws.NopRetryer{}, Credentials: credentials.NewStaticCredentialsProvider("an id", "a secret of some length", "")})}
}

// TestWhatAClientMayBe: no password, SRP or admin flow, and what code and refreshing need.
func TestWhatAClientMayBe(t *testing.T) {
	var asked string
	clients := stubbed(answer{status: 200, body: `{"UserPoolClient": {"ClientId": "c", "ClientSecret": "s"}}`, asked: &asked})
	thirdParty, system := appstest.Wanted(t)
	common := map[string]any{"UserPoolId": "eu-central-1_people", "ClientName": "label", "AllowedOAuthFlowsUserPoolClient": true, "ExplicitAuthFlows": []any{"ALLOW_CUSTOM_AUTH"},
		"AccessTokenValidity": 60., "IdTokenValidity": 60., "RefreshTokenValidity": 30., "TokenValidityUnits": map[string]any{"AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "days"},
		"EnableTokenRevocation": true, "PreventUserExistenceErrors": "ENABLED"}
	for _, test := range []struct {
		wanted apps.Wanted
		differ map[string]any
	}{
		{thirdParty, map[string]any{"AllowedOAuthFlows": []any{"code"}, "AllowedOAuthScopes": []any{"fitvault/readings.read"}, "CallbackURLs": []any{"https://a.example/b"},
			"SupportedIdentityProviders": []any{"COGNITO"}, "RefreshTokenRotation": map[string]any{"Feature": "ENABLED", "RetryGracePeriodSeconds": 0.}}},
		{system, map[string]any{"AllowedOAuthFlows": []any{"client_credentials"}, "AllowedOAuthScopes": []any{"fitvault/readings.read", "fitvault/readings.write"}, "GenerateSecret": true}},
	} {
		want := map[string]any{}
		for _, of := range []map[string]any{common, test.differ} {
			for name, value := range of {
				want[name] = value
			}
		}
		client, secret, err := clients.Create(t.Context(), "label", test.wanted)
		require.NoError(t, err)
		require.Equal(t, [2]string{"c", "s"}, [2]string{client, secret})
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(asked), &got))
		require.Equal(t, want, got)
	}
}

func TestCognitoFails(t *testing.T) {
	_, system := appstest.Wanted(t)
	for name, test := range map[string]struct {
		answer
		want fault.Kind
	}{
		"refused":       {answer{status: 400, body: `{"__type": "InvalidParameterException", "message": "canary"}`}, fault.Unavailable},
		"too many":      {answer{status: 400, body: `{"__type": "LimitExceededException", "message": "canary"}`}, fault.Unavailable},
		"no connection": {answer{err: errors.New("no connection")}, fault.Unavailable},
		"no client":     {answer{status: 200, body: `{}`}, fault.Internal},
		"no id":         {answer{status: 200, body: `{"UserPoolClient": {"ClientSecret": "s"}}`}, fault.Internal},
		"no secret":     {answer{status: 200, body: `{"UserPoolClient": {"ClientId": "c"}}`}, fault.Internal},
	} {
		_, _, err := stubbed(test.answer).Create(t.Context(), "label", system)
		require.Equal(t, test.want, fault.KindOf(err), name)
		for ; err != nil; err = errors.Unwrap(err) {
			require.NotContains(t, err.Error(), "canary", name)
		}
	}
	require.NoError(t, stubbed(answer{status: 400, body: `{"__type": "ResourceNotFoundException"}`}).Delete(t.Context(), "c"))
	require.Equal(t, fault.Unavailable, fault.KindOf(stubbed(answer{status: 400, body: `{"__type": "NotAuthorizedException"}`}).Delete(t.Context(), "c")))
}
