package guard

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
)

// poolLogs are the log groups that Cognito writes, with when there are any. It writes none
// that has a key of ours, and writes names and addresses.
var poolLogs = map[string]string{"PeoplePoolLogs": "WatchPeople", "StaffPoolLogs": "WatchStaff"}

// subscribed returns what is wrong with who hears of logs: each group that a function is
// subscribed to may call it, no other group or account may; and of user pools nothing is
// kept for longer than a day, or where nobody has asked for it.
func subscribed(tpl contract.Template) (wrong []string) {
	say := func(id, format string, a ...any) { wrong = append(wrong, id+" "+fmt.Sprintf(format, a...)) }
	allowed, heard := map[string]string{}, map[string]string{}
	for id, r := range tpl.Resources {
		p := r.Properties
		pair := fmt.Sprintf("%v %v", p["FunctionName"], strings.TrimSuffix(fmt.Sprint(p["SourceArn"]), ".Arn"))
		switch {
		case r.Type == "AWS::Lambda::Permission" && strings.HasPrefix(fmt.Sprint(p["Principal"]), "logs."):
			allowed[pair+" "+r.Condition] = id
			if group := strings.TrimSuffix(fmt.Sprint(p["SourceArn"]), ".Arn"); tpl.Resources[group].Type != "AWS::Logs::LogGroup" {
				say(id, "is for no group of ours")
			}
			if p["SourceAccount"] != "AWS::AccountId" || p["Action"] != "lambda:InvokeFunction" {
				say(id, "is for another account, or for more")
			}
		case r.Type == "AWS::Logs::SubscriptionFilter":
			heard[fmt.Sprintf("%v %v %s", strings.TrimSuffix(fmt.Sprint(p["DestinationArn"]), ".Arn"), p["LogGroupName"], r.Condition)] = id
			if p["FilterPattern"] == nil || p["FilterPattern"] == "" {
				say(id, "passes everything on")
			}
		case r.Type == "AWS::Cognito::LogDeliveryConfiguration":
			wrong = append(wrong, delivered(tpl, id)...)
		case r.Type == "AWS::Logs::LogGroup" && poolLogs[id] != "":
			if r.Condition != poolLogs[id] || p["RetentionInDays"] != 1 || p["KmsKeyId"] != nil {
				say(id, "is kept where nobody asked for it, too long, or by a key with which nothing would come")
			}
		}
	}
	for pair, id := range heard {
		if allowed[pair] == "" {
			say(id, "may not call")
		}
	}
	for pair, id := range allowed {
		if heard[pair] == "" {
			say(id, "lets in a group that has no subscription")
		}
	}
	slices.Sort(wrong)
	return wrong
}

// delivered is about one user pool's delivery.
func delivered(tpl contract.Template, id string) (wrong []string) {
	r := tpl.Resources[id]
	for _, c := range asList(r.Properties["LogConfigurations"]) {
		to := fmt.Sprint(object(object(c)["CloudWatchLogsConfiguration"])["LogGroupArn"])
		group := strings.TrimSuffix(to[strings.LastIndex(to, "{")+1:], "}")
		if poolLogs[group] == "" || poolLogs[group] != r.Condition || !strings.HasPrefix(to, "arn:") || len(object(c)) != 3 {
			wrong = append(wrong, id+" goes elsewhere than to the group that is for it")
		}
		if object(c)["EventSource"] != "userAuthEvents" || object(c)["LogLevel"] != "INFO" {
			wrong = append(wrong, id+" delivers something else")
		}
	}
	return wrong
}

func TestSubscriptions(t *testing.T) {
	tpl := readTemplate(t)
	require.Empty(t, subscribed(tpl))
	for group := range poolLogs {
		require.Contains(t, tpl.Resources, group)
	}
	// Nobody gets Cognito's price and a copy of addresses who has not asked for them.
	require.Equal(t, "none", object(tpl.Parameters["PoolEvents"])["Default"])
	for condition, makes := range map[string]string{"WatchPeople": "MakePool", "WatchStaff": "MakeStaffPool"} {
		require.Equal(t, []any{makes, []any{"PoolEvents", "kept"}}, tpl.Conditions[condition])
	}
	require.Equal(t, []any{"WatchPeople", "WatchStaff"}, tpl.Conditions["WatchPools"])
	policies := asList(tpl.Resources["SentinelRole"].Properties["Policies"])
	require.Equal(t, "WatchPools", policies[1].([]any)[0], "its power over identities, too")

	planted, err := contract.ParseTemplate([]byte(`
Resources:
  A: {Type: AWS::Lambda::Permission, Properties: {FunctionName: !Ref F, Action: 'lambda:*', Principal: !Sub 'logs.x', SourceArn: !GetAtt PeoplePoolLogs.Arn}}
  B: {Type: AWS::Lambda::Permission, Condition: OnAws, Properties: {FunctionName: !Ref F, Action: 'lambda:InvokeFunction', Principal: !Sub 'logs.x', SourceAccount: !Ref AWS::AccountId, SourceArn: '*'}}
  C: {Type: AWS::Logs::SubscriptionFilter, Condition: OnAws, Properties: {LogGroupName: !Ref PeoplePoolLogs, DestinationArn: !GetAtt F.Arn, FilterPattern: ''}}
  D: {Type: AWS::Cognito::LogDeliveryConfiguration, Condition: WatchPeople, Properties: {LogConfigurations: [{EventSource: userNotification, LogLevel: ERROR, S3Configuration: {BucketArn: x}}]}}
  E: {Type: AWS::Cognito::LogDeliveryConfiguration, Condition: WatchStaff, Properties: {LogConfigurations: [{EventSource: userAuthEvents, LogLevel: INFO,
    CloudWatchLogsConfiguration: {LogGroupArn: !Sub 'arn:x:log-group:${PeoplePoolLogs}'}}]}}
  PeoplePoolLogs: {Type: AWS::Logs::LogGroup, Condition: OnAws, Properties: {RetentionInDays: 90}}
`))
	require.NoError(t, err)
	require.Equal(t, []string{
		"A is for another account, or for more",
		"A lets in a group that has no subscription",
		"B is for no group of ours",
		"B lets in a group that has no subscription",
		"C may not call",
		"C passes everything on",
		"D delivers something else",
		"D goes elsewhere than to the group that is for it",
		"E goes elsewhere than to the group that is for it",
		"PeoplePoolLogs is kept where nobody asked for it, too long, or by a key with which nothing would come",
	}, subscribed(planted))
}
