package guard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
)

// most is what a function may set aside together with all others: Lambda keeps 100 of an
// account's usual 1,000 for functions that reserve nothing.
const most = 900

// dearest is what a request counts as against its app's limit at most (Cost of routes).
const dearest = 3

// forgets are mappings that keep nothing of what they give up, and why.
var forgets = map[string]string{"SentinelStream": "an hour late nobody can be slowed down; the events stay in their table, and get into the log"}

// unbounded returns what of a template's load has no bound, or one that does no good.
func unbounded(tpl contract.Template) (wrong []string) {
	say := func(id, format string, values ...any) { wrong = append(wrong, id+" "+fmt.Sprintf(format, values...)) }
	total := 0
	for _, id := range tpl.Functions() {
		p := tpl.Resources[id].Properties
		if reserved := p["ReservedConcurrentExecutions"]; reserved != nil {
			// Without the condition an account with a small quota could not deploy at all.
			choice := asList(reserved)
			if len(choice) != 3 || choice[0] != "ReserveConcurrency" || choice[2] != "AWS::NoValue" {
				say(id, "always reserves executions")
				continue
			}
			n, err := strconv.Atoi(fmt.Sprint(choice[1]))
			if err != nil {
				n, err = strconv.Atoi(fmt.Sprint(object(tpl.Parameters[fmt.Sprint(choice[1])])["Default"]))
			}
			if total += n; err != nil || n < 1 {
				say(id, "reserves what is no number")
			}
		}
		for name, e := range object(p["Events"]) {
			if object(e)["Type"] != "Schedule" {
				continue
			}
			schedule := object(object(e)["Properties"])
			every, ok := period(fmt.Sprint(schedule["Schedule"]))
			for _, part := range []any{schedule["RetryPolicy"], p["EventInvokeConfig"]} {
				seconds, err := strconv.Atoi(fmt.Sprint(object(part)["MaximumEventAgeInSeconds"]))
				if _, err2 := strconv.Atoi(fmt.Sprint(object(part)["MaximumRetryAttempts"])); !ok || err != nil || err2 != nil || time.Duration(seconds)*time.Second > every {
					say(id, "may still try %s when the next is due", name)
				}
			}
		}
	}
	if total > most {
		say("all functions", "reserve %d executions", total)
	}
	ofAnApp, _ := strconv.Atoi(fmt.Sprint(object(tpl.Parameters["ClientLimit"])["Default"]))
	for id, r := range tpl.Resources {
		if r.Type == "AWS::ApiGateway::UsagePlan" {
			a, err := strconv.Atoi(fmt.Sprint(object(r.Properties["Throttle"])["RateLimit"]))
			if err != nil || a*60*dearest > ofAnApp {
				say(id, "lets an app do in a minute what ClientLimit refuses")
			}
		}
		if r.Type == "AWS::Lambda::EventSourceMapping" && (r.Properties["MaximumRecordAgeInSeconds"] == nil || r.Properties["MaximumRetryAttempts"] == nil || r.Properties["DestinationConfig"] == nil && forgets[id] == "") {
			say(id, "tries for ever, or loses what it gives up")
		}
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

// period reads rate(5 minutes).
func period(text string) (time.Duration, bool) {
	inner, ok := strings.CutPrefix(strings.TrimSuffix(text, ")"), "rate(")
	number, unit, ok2 := strings.Cut(inner, " ")
	n, err := strconv.Atoi(number)
	each := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[strings.TrimSuffix(unit, "s")]
	return time.Duration(n) * each, ok && ok2 && err == nil && each > 0
}

// TestLoadIsBounded: executions are set aside only where the account has them, and
// nothing that waits outlives its use (docs/adr/0034-load.md).
func TestLoadIsBounded(t *testing.T) {
	require.Empty(t, unbounded(readTemplate(t)))
	planted, err := contract.ParseTemplate([]byte(`
Parameters:
  Many: {Type: Number, Default: 850}
  ClientLimit: {Type: Number, Default: 36000}
Resources:
  AFunction: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/a, ReservedConcurrentExecutions: 2}}
  BFunction: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/b, ReservedConcurrentExecutions: !If [ReserveConcurrency, !Ref Many, !Ref AWS::NoValue]}}
  CFunction: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/c, ReservedConcurrentExecutions: !If [ReserveConcurrency, 51, !Ref AWS::NoValue],
    EventInvokeConfig: {MaximumEventAgeInSeconds: 300, MaximumRetryAttempts: 0},
    Events: {Good: {Type: Schedule, Properties: {Schedule: rate(5 minutes), RetryPolicy: {MaximumEventAgeInSeconds: 300, MaximumRetryAttempts: 0}}},
             Bad: {Type: Schedule, Properties: {Schedule: rate(1 minute), RetryPolicy: {MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0}}},
             Unbounded: {Type: Schedule, Properties: {Schedule: rate(1 day)}}}}}
  Mapping: {Type: AWS::Lambda::EventSourceMapping, Properties: {MaximumRetryAttempts: 3}}
  Plan: {Type: AWS::ApiGateway::UsagePlan, Properties: {Throttle: {RateLimit: 200, BurstLimit: 400}}}
  LargePlan: {Type: AWS::ApiGateway::UsagePlan, Properties: {Throttle: {RateLimit: 201, BurstLimit: 400}}}
  OpenPlan: {Type: AWS::ApiGateway::UsagePlan, Properties: {}}
`))
	require.NoError(t, err)
	require.Equal(t, []string{"AFunction always reserves executions", "CFunction may still try Bad when the next is due", "CFunction may still try Unbounded when the next is due",
		"LargePlan lets an app do in a minute what ClientLimit refuses", "Mapping tries for ever, or loses what it gives up",
		"OpenPlan lets an app do in a minute what ClientLimit refuses", "all functions reserve 901 executions"}, unbounded(planted))
}
