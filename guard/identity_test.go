package guard

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
)

// staffScopes are the scopes that only clients of the staff's pool may have.
var staffScopes = []string{"insights.read", "firmware.publish", "devices.register", "audit.read", "admin"}

// loosePools returns what no user pool, server or client of the template may be.
// The local AWS makes its pools of some of this text and cannot show the rest.
func loosePools(tpl contract.Template) (wrong []string) {
	say := func(id, format string, a ...any) { wrong = append(wrong, id+" "+fmt.Sprintf(format, a...)) }
	for id, r := range tpl.Resources {
		p, staff := r.Properties, fmt.Sprint(r.Properties["UserPoolId"]) == "StaffUserPool"
		switch r.Type {
		case "AWS::Cognito::UserPool":
			staff = id == "StaffUserPool"
			watched := map[bool]string{true: "WatchStaff", false: "WatchPeople"}[staff]
			want := map[string]any{
				"DeletionProtection": "ACTIVE", "UserPoolTier": []any{watched, "PLUS", "ESSENTIALS"}, "UsernameAttributes": []any{"email"}, "AutoVerifiedAttributes": []any{"email"},
				"EnabledMfas": []any{"SOFTWARE_TOKEN_MFA"}, "MfaConfiguration": "OPTIONAL", "AdminCreateUserConfig": map[string]any{"AllowAdminCreateUserOnly": staff},
				"UserAttributeUpdateSettings": map[string]any{"AttributesRequireVerificationBeforeUpdate": []any{"email"}},
			}
			want["UserPoolAddOns"] = []any{watched, map[string]any{"AdvancedSecurityMode": "AUDIT"}, "AWS::NoValue"} // without it there are no events
			recovery, length := "verified_email", 12
			if staff {
				want["MfaConfiguration"], recovery, length = "ON", "admin_only", 16
			}
			want["AccountRecoverySetting"] = map[string]any{"RecoveryMechanisms": []any{map[string]any{"Name": recovery, "Priority": 1}}}
			for name, value := range want {
				if fmt.Sprint(p[name]) != fmt.Sprint(value) {
					say(id, "%s is not %v", name, value)
				}
			}
			policies, _ := p["Policies"].(map[string]any)
			password, _ := policies["PasswordPolicy"].(map[string]any)
			if n, _ := password["MinimumLength"].(int); n < length {
				say(id, "takes short passwords")
			}
			if p["LambdaConfig"] != nil {
				say(id, "has triggers: with one for custom sign-in a client's ALLOW_CUSTOM_AUTH would sign people in")
			}
		case "AWS::Cognito::UserPoolResourceServer":
			for _, s := range asList(p["Scopes"]) {
				if name := fmt.Sprint(s.(map[string]any)["ScopeName"]); slices.Contains(staffScopes, name) != staff {
					say(id, "has the scope %s", name)
				}
			}
		case "AWS::Cognito::UserPoolClient":
			for _, flow := range append(asList(p["ExplicitAuthFlows"]), asList(p["AllowedOAuthFlows"])...) {
				if flow != "ALLOW_CUSTOM_AUTH" && flow != "code" && flow != "client_credentials" {
					say(id, "may use %v", flow)
				}
			}
			if len(asList(p["ExplicitAuthFlows"])) == 0 {
				say(id, "names no flow, which means SRP")
			}
			for _, s := range asList(p["AllowedOAuthScopes"]) {
				name, ours := strings.CutPrefix(fmt.Sprint(s), "fitvault/")
				if s == "aws.cognito.signin.user.admin" || ours && slices.Contains(staffScopes, name) != staff {
					say(id, "may ask for %v", s)
				}
			}
			units, _ := p["TokenValidityUnits"].(map[string]any)
			if minutes, _ := p["AccessTokenValidity"].(int); units["AccessToken"] != "minutes" || minutes < 15 || minutes > 60 {
				say(id, "has access tokens of %v %v", p["AccessTokenValidity"], units["AccessToken"])
			}
			for name, value := range map[string]any{"EnableTokenRevocation": true, "PreventUserExistenceErrors": "ENABLED", "AllowedOAuthFlowsUserPoolClient": true,
				"RefreshTokenRotation": map[string]any{"Feature": "ENABLED", "RetryGracePeriodSeconds": 0}} {
				if fmt.Sprint(p[name]) != fmt.Sprint(value) {
					say(id, "%s is not %v", name, value)
				}
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func TestPools(t *testing.T) {
	tpl := readTemplate(t)
	require.Empty(t, loosePools(tpl))
	for _, id := range []string{"UserPool", "StaffUserPool", "UserPoolClient", "StaffUserPoolClient", "UserPoolDomain", "StaffUserPoolDomain"} {
		require.Contains(t, tpl.Resources, id)
	}
	for planted, want := range map[string]string{
		"ExplicitAuthFlows: [ALLOW_USER_SRP_AUTH]":                                "C may use ALLOW_USER_SRP_AUTH",
		"ExplicitAuthFlows: [ALLOW_USER_PASSWORD_AUTH]":                           "C may use ALLOW_USER_PASSWORD_AUTH",
		"ExplicitAuthFlows: [ALLOW_ADMIN_USER_PASSWORD_AUTH]":                     "C may use ALLOW_ADMIN_USER_PASSWORD_AUTH",
		"ExplicitAuthFlows: [ALLOW_USER_AUTH]":                                    "C may use ALLOW_USER_AUTH",
		"ExplicitAuthFlows: []":                                                   "C names no flow, which means SRP",
		"AllowedOAuthFlows: [implicit]":                                           "C may use implicit",
		"AllowedOAuthScopes: [aws.cognito.signin.user.admin]":                     "C may ask for aws.cognito.signin.user.admin",
		"AllowedOAuthScopes: [fitvault/admin]":                                    "C may ask for fitvault/admin",
		"AccessTokenValidity: 1440":                                               "C has access tokens of 1440 minutes",
		"RefreshTokenRotation: {Feature: DISABLED}":                               "C RefreshTokenRotation is not map[Feature:ENABLED RetryGracePeriodSeconds:0]",
		"EnableTokenRevocation: false":                                            "C EnableTokenRevocation is not true",
		"PreventUserExistenceErrors: LEGACY":                                      "C PreventUserExistenceErrors is not ENABLED",
		"UserPoolId: StaffUserPool, AllowedOAuthScopes: [fitvault/readings.read]": "C may ask for fitvault/readings.read",
	} {
		base := map[string]string{
			"UserPoolId": "UserPool", "ExplicitAuthFlows": "[ALLOW_CUSTOM_AUTH]", "AllowedOAuthFlows": "[code]", "AllowedOAuthScopes": "[openid]", "AllowedOAuthFlowsUserPoolClient": "true",
			"AccessTokenValidity": "60", "TokenValidityUnits": "{AccessToken: minutes}", "EnableTokenRevocation": "true", "PreventUserExistenceErrors": "ENABLED",
			"RefreshTokenRotation": "{Feature: ENABLED, RetryGracePeriodSeconds: 0}",
		}
		text := "Resources: {C: {Type: 'AWS::Cognito::UserPoolClient', Properties: {" + planted
		for name, value := range base {
			if !strings.Contains(planted, name+":") {
				text += ", " + name + ": " + value
			}
		}
		bad, err := contract.ParseTemplate([]byte(text + "}}}"))
		require.NoError(t, err)
		require.Equal(t, []string{want}, loosePools(bad), planted)
	}
	planted, err := contract.ParseTemplate([]byte("Resources: {StaffUserPool: {Type: 'AWS::Cognito::UserPool', Properties: {MfaConfiguration: OPTIONAL, LambdaConfig: {}}}," +
		" R: {Type: 'AWS::Cognito::UserPoolResourceServer', Properties: {UserPoolId: UserPool, Scopes: [{ScopeName: admin}]}}}"))
	require.NoError(t, err)
	require.Subset(t, loosePools(planted), []string{"StaffUserPool MfaConfiguration is not ON", "StaffUserPool takes short passwords", "R has the scope admin"})
}

// TestStaffScopesAreOfTheStaffsPool: a route is behind the authorizer of the pool
// whose clients may have its scope.
func TestStaffScopesAreOfTheStaffsPool(t *testing.T) {
	for name, route := range readTemplate(t).Routes() {
		scope := strings.TrimPrefix(route.Scope, "fitvault/")
		require.Equal(t, slices.Contains(staffScopes, scope), route.Staff, name)
	}
}

// TestBrowsersMayAsk: every path behind the edge answers a browser's question,
// and no other does.
func TestBrowsersMayAsk(t *testing.T) {
	tpl := readTemplate(t)
	var want []string
	for name, route := range tpl.Routes() {
		if _, path, _ := strings.Cut(name, " "); route.Function != "" && !slices.Contains(want, path) {
			want = append(want, path)
		}
	}
	slices.Sort(want)
	require.Equal(t, want, tpl.Preflights())
}

// TestTheDomainSpeaksNothingOld: TLS 1.2 and up, and no way around the domain.
func TestTheDomainSpeaksNothingOld(t *testing.T) {
	tpl := readTemplate(t)
	require.Equal(t, "TLS_1_2", tpl.Resources["ApiDomain"].Properties["SecurityPolicy"])
	require.Equal(t, []any{"HasCustomDomain", true, false}, tpl.Resources["Api"].Properties["DisableExecuteApiEndpoint"])
}
