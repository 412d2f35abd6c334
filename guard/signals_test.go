package guard

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/metrics"
)

// object is v as a table; an empty one where it is none.
func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

// dimensionsOf writes an alarm's dimensions as "name=value name=value".
func dimensionsOf(alarm map[string]any) string {
	var all []string
	for _, d := range asList(alarm["Dimensions"]) {
		all = append(all, fmt.Sprintf("%v=%v", object(d)["Name"], object(d)["Value"]))
	}
	return strings.Join(all, " ")
}

var playbookOf = regexp.MustCompile(`\. docs/playbooks/([a-z-]+)\.md$`)

// unwatched returns what template.yaml leaves without a log group or an alarm, alarms
// that nobody would hear, or that watch what no record counts, and what alarms and
// playbooks lack of each other. playbooks is by name.
func unwatched(tpl contract.Template, playbooks map[string]string) (wrong []string) {
	say := func(id, format string, a ...any) { wrong = append(wrong, id+" "+fmt.Sprintf(format, a...)) }
	counted := map[string]string{} // name → dimensions
	for _, m := range metrics.All() {
		counted[m.Name] = "deployment=Deployment"
		if m.OfFunction {
			counted[m.Name] += " function="
		}
	}
	watched, named := map[string]bool{}, map[string]bool{}
	for id, r := range tpl.Resources {
		if r.Type != "AWS::CloudWatch::Alarm" {
			continue
		}
		p := r.Properties
		watched[fmt.Sprintf("%v %v %s", p["Namespace"], p["MetricName"], dimensionsOf(p))] = true
		if m := playbookOf.FindStringSubmatch(fmt.Sprint(p["AlarmDescription"])); m == nil {
			say(id, "names no playbook")
		} else if named[m[1]] = true; playbooks[m[1]] == "" {
			say(id, "names a playbook that is not there: %s", m[1])
		}
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			if !slices.Contains(asList(p[actions]), any("AlarmTopic")) {
				say(id, "has no %s", actions)
			}
		}
		if p["ActionsEnabled"] != nil {
			say(id, "can be silenced")
		}
		// Where nothing is counted nothing has gone wrong, but of what must happen.
		if want := map[any]string{"LessThanThreshold": "breaching"}[p["ComparisonOperator"]]; p["TreatMissingData"] != "notBreaching" && want == "" || want != "" && p["TreatMissingData"] != want {
			say(id, "treats missing data as %v", p["TreatMissingData"])
		}
		if r.Condition != "OnAws" && r.Condition != "WatchGateway" {
			say(id, "would be made where nothing is measured")
		}
		if p["Namespace"] == metrics.Namespace {
			want, ok := counted[fmt.Sprint(p["MetricName"])]
			if got := dimensionsOf(p); !ok || got != want && !(strings.HasSuffix(want, "function=") && strings.HasPrefix(got, want)) {
				say(id, "watches what no record counts: %v of %s", p["MetricName"], got)
			}
		}
	}
	for name, text := range playbooks {
		if !named[name] {
			say(name, "is the playbook of no alarm")
		}
		wrong = append(wrong, poor(name, text)...)
	}
	for folder, id := range tpl.Functions() {
		p := tpl.Resources[id].Properties
		group := strings.TrimSuffix(id, "Function") + "Logs"
		if fmt.Sprint(object(p["LoggingConfig"])["LogGroup"]) != group || tpl.Resources[group].Type != "AWS::Logs::LogGroup" {
			say(id, "has no log group of its own")
		}
		if !watched["AWS/Lambda Errors FunctionName="+id] {
			say(id, "can fail unheard")
		}
		for _, e := range object(p["Events"]) {
			if kind := fmt.Sprint(object(e)["Type"]); strings.HasPrefix(kind, "Schedule") && !watched["fitvault succeeded deployment=Deployment function="+folder] {
				say(id, "runs by a schedule, and can stop unheard")
			}
		}
	}
	for id, r := range tpl.Resources {
		if r.Type == "AWS::Lambda::EventSourceMapping" && !watched[fmt.Sprintf("AWS/Lambda IteratorAge FunctionName=%v", r.Properties["FunctionName"])] {
			say(id, "can fall behind unheard")
		}
	}
	slices.Sort(wrong)
	return wrong
}

// A playbook is read by somebody who was just woken up.
const longestPlaybook = 40 // lines

var (
	headings = []string{"## What it means", "## How to see", "## What to do", "## When it is over"}
	// What is of one machine or one account.
	ofOneMachine = regexp.MustCompile(`127\.0\.0\.1|localhost|/(?:work|home)/|\.local/|\b[0-9]{12}\b|\b[a-z]{2}-[a-z]+-[0-9]\b`)
)

// poor returns what a playbook lacks.
func poor(name, text string) (wrong []string) {
	last := 0
	for _, h := range headings {
		at := strings.Index(text, "\n"+h+"\n")
		if at < last {
			wrong = append(wrong, name+" does not say, in its place: "+h)
		}
		last = max(at, last)
	}
	if n := strings.Count(text, "\n"); n > longestPlaybook {
		wrong = append(wrong, fmt.Sprintf("%s is long: %d lines", name, n))
	}
	if of := ofOneMachine.FindString(text); of != "" {
		wrong = append(wrong, name+" is of one machine or account: "+of)
	}
	return wrong
}

func readPlaybooks(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../docs/playbooks/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	playbooks := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		playbooks[strings.TrimSuffix(filepath.Base(file), ".md")] = string(text)
	}
	return playbooks
}

func TestAlarmsAndPlaybooks(t *testing.T) {
	tpl, playbooks := readTemplate(t), readPlaybooks(t)
	require.Empty(t, unwatched(tpl, playbooks))

	more := maps.Clone(playbooks)
	more["of-nothing"] = playbooks["kms-fails"]
	require.Equal(t, []string{"of-nothing is the playbook of no alarm"}, unwatched(tpl, more))
	delete(more, "of-nothing")
	delete(more, "kms-fails")
	require.Equal(t, []string{"KmsFails names a playbook that is not there: kms-fails"}, unwatched(tpl, more))
}

func TestUnwatchedThingsAreFound(t *testing.T) {
	good := "# A\n\n## What it means\n\n## How to see\n\n## What to do\n\n## When it is over\n"
	planted, err := contract.ParseTemplate([]byte(`
Resources:
  AFunction: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/a, LoggingConfig: {LogGroup: !Ref BLogs}, Events: {Hourly: {Type: Schedule}, Late: {Type: ScheduleV2}}}}
  BFunction: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/b, LoggingConfig: {LogGroup: !Ref BLogs}}}
  BLogs: {Type: AWS::Logs::LogGroup}
  BStream: {Type: AWS::Lambda::EventSourceMapping, Properties: {FunctionName: !Ref BFunction}}
  BFails: {Type: AWS::CloudWatch::Alarm, Condition: OnAws, Properties: {AlarmDescription: B fails. docs/playbooks/a.md, Namespace: AWS/Lambda, MetricName: Errors,
    Dimensions: [{Name: FunctionName, Value: !Ref BFunction}], TreatMissingData: notBreaching, AlarmActions: [!Ref AlarmTopic], OKActions: [!Ref AlarmTopic]}}
  Bad: {Type: AWS::CloudWatch::Alarm, Properties: {AlarmDescription: No page., Namespace: fitvault, MetricName: request, ComparisonOperator: LessThanThreshold, TreatMissingData: notBreaching,
    ActionsEnabled: false, AlarmActions: [!Ref OtherTopic]}}
  Worse: {Type: AWS::CloudWatch::Alarm, Condition: OnAws, Properties: {AlarmDescription: W. docs/playbooks/a.md, Namespace: fitvault, MetricName: alarms, Dimensions: [{Name: user, Value: x}],
    AlarmActions: [!Ref AlarmTopic], OKActions: [!Ref AlarmTopic]}}
`))
	require.NoError(t, err)
	require.Equal(t, []string{
		"AFunction can fail unheard",
		"AFunction has no log group of its own",
		"AFunction runs by a schedule, and can stop unheard",
		"AFunction runs by a schedule, and can stop unheard",
		"BStream can fall behind unheard",
		"Bad can be silenced",
		"Bad has no AlarmActions",
		"Bad has no OKActions",
		"Bad names no playbook",
		"Bad treats missing data as notBreaching",
		"Bad watches what no record counts: request of ",
		"Bad would be made where nothing is measured",
		"Worse treats missing data as <nil>",
		"Worse watches what no record counts: alarms of user=x",
	}, unwatched(planted, map[string]string{"a": good}))

	require.Empty(t, poor("a", good))
	require.Equal(t, []string{"a does not say, in its place: ## What to do"}, poor("a", strings.Replace(good, "## What to do\n", "", 1)))
	require.Equal(t, []string{"a does not say, in its place: ## When it is over"}, poor("a", "\n## When it is over\n"+strings.Replace(good, "## When it is over\n", "", 1)))
	require.Equal(t, []string{"a is long: 49 lines"}, poor("a", good+strings.Repeat("\n", 40)))
	for _, of := range []string{"127.0.0.1:24566", "/" + "work/main", "123456789012", "eu-central-1"} {
		require.Len(t, poor("a", good+of), 1, of)
	}
}
