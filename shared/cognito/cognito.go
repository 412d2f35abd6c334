// Package cognito is a user pool of Amazon Cognito: the OAuth clients in it that
// administrators register. No error repeats what was sent.
package cognito

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/fault"
)

// Clients is the clients of one pool. It implements apps.Clients.
type Clients struct {
	Client *cognitoidentityprovider.Client
	Pool   string // its id
}

// New is the clients of one pool.
func New(c aws.Config, pool string) Clients {
	return Clients{Client: cognitoidentityprovider.NewFromConfig(c), Pool: pool}
}

// tokenMinutes is how long an access token is good, as of the app in template.yaml.
const tokenMinutes = 60

// Create implements apps.Clients. What it may be is what the template's own client
// is: no password, SRP or admin flow. ALLOW_CUSTOM_AUTH signs nobody in, for the pool
// has no triggers; an empty list would mean SRP.
func (c Clients) Create(ctx context.Context, label string, w apps.Wanted) (client, secret string, err error) {
	in := &cognitoidentityprovider.CreateUserPoolClientInput{
		UserPoolId:                      aws.String(c.Pool),
		ClientName:                      aws.String(label),
		AllowedOAuthFlowsUserPoolClient: true,
		AllowedOAuthScopes:              w.Scopes,
		ExplicitAuthFlows:               []types.ExplicitAuthFlowsType{types.ExplicitAuthFlowsTypeAllowCustomAuth},
		AccessTokenValidity:             aws.Int32(tokenMinutes),
		IdTokenValidity:                 aws.Int32(tokenMinutes),
		RefreshTokenValidity:            30,
		TokenValidityUnits: &types.TokenValidityUnitsType{AccessToken: types.TimeUnitsTypeMinutes,
			IdToken: types.TimeUnitsTypeMinutes, RefreshToken: types.TimeUnitsTypeDays},
		EnableTokenRevocation:      aws.Bool(true),
		PreventUserExistenceErrors: types.PreventUserExistenceErrorTypesEnabled,
	}
	if w.Kind == access.SystemApp {
		in.AllowedOAuthFlows, in.GenerateSecret = []types.OAuthFlowType{types.OAuthFlowTypeClientCredentials}, true
	} else {
		in.AllowedOAuthFlows, in.CallbackURLs = []types.OAuthFlowType{types.OAuthFlowTypeCode}, w.RedirectURIs
		in.SupportedIdentityProviders = []string{"COGNITO"}
		in.RefreshTokenRotation = &types.RefreshTokenRotationType{Feature: types.FeatureTypeEnabled, RetryGracePeriodSeconds: aws.Int32(0)}
	}
	out, err := c.Client.CreateUserPoolClient(ctx, in)
	if err != nil {
		return "", "", fault.OfService("client cannot be made", err)
	}
	made := out.UserPoolClient
	if made == nil || !access.ValidClient(aws.ToString(made.ClientId)) || in.GenerateSecret && aws.ToString(made.ClientSecret) == "" {
		return "", "", fault.New(fault.Internal, "client was made otherwise than asked for")
	}
	return *made.ClientId, aws.ToString(made.ClientSecret), nil
}

// Delete implements apps.Clients.
func (c Clients) Delete(ctx context.Context, client string) error {
	_, err := c.Client.DeleteUserPoolClient(ctx, &cognitoidentityprovider.DeleteUserPoolClientInput{UserPoolId: aws.String(c.Pool), ClientId: aws.String(client)})
	var missing *types.ResourceNotFoundException
	if err != nil && !errors.As(err, &missing) {
		return fault.OfService("client cannot be removed", err)
	}
	return nil
}
