package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
	"fitvault/shared/intake"
)

// operator is who runs the database. On AWS a role would have to allow what it
// does here; what it finds would be the same.
type operator struct{ tables dynamo.Tables }

func newOperator(s stack) operator {
	client := dynamodb.New(dynamodb.Options{
		Region:       s.Region,
		BaseEndpoint: aws.String(s.Endpoints.AWS),
		Credentials:  credentials.NewStaticCredentialsProvider(s.Credentials.ID, s.Credentials.Secret, ""),
		HTTPClient:   &http.Client{Timeout: patience},
	})
	return operator{dynamo.Tables{Client: client, Readings: s.Outputs.Readings, AuditEvents: s.Outputs.AuditEvents}}
}

// lookBehind shows what the requests since began have left in the database.
func (d *demo) lookBehind(ctx context.Context, began time.Time) error {
	var block dynamo.Sealed
	var blocks int
	var index []byte
	day := d.sent[0].Day()
	err := d.step("sealed pieces", func() (string, error) {
		var err error
		if block, blocks, err = d.operator.block(ctx, d.user, day); err != nil {
			return "", err
		}
		if index, err = d.operator.index(ctx, d.user, d.entry.ID); err != nil {
			return "", err
		}
		return fmt.Sprintf("blocks of %s: %d; index entry: 1", day, blocks), nil
	})
	if err != nil {
		return err
	}
	var events []auditlog.Event
	err = d.step("audit events", func() (result string, err error) {
		if events, err = d.operator.events(ctx, began, d.api.requests); err == nil && len(events) == 0 {
			err = advice{"this run has left no audit events", deployAgain, nil}
		}
		return fmt.Sprintf("%d of this run", len(events)), err
	})
	if err != nil {
		return err
	}

	parts, err := legend(block.Blob, "the readings; they open only for this owner, at this day and id")
	if err != nil {
		return err
	}
	d.heading(fmt.Sprintf("A block of readings, as the database holds it: %s, %s bytes", block.Item, grouped(len(block.Blob))))
	d.block(dump(block.Blob, 10*16))
	d.block(parts)
	d.heading(fmt.Sprintf("The recording's index entry: %s, %s bytes, of the same form", intake.RecordItem(d.entry.ID), grouped(len(index))))
	d.block(dump(index, 4*16))
	d.note("  Who runs the database, or has a backup of it, learns which account, when and how much from this; not whose it is, and no value.")
	d.heading("Audit events of this run, written before their effects")
	d.block(eventTable(events, d.known, d.stack.Clients[anotherApp].ID))
	return nil
}

// block returns a sealed block of a day, and how many the day has.
func (o operator) block(ctx context.Context, user, day string) (first dynamo.Sealed, n int, _ error) {
	for sealed, err := range o.tables.Between(ctx, user, intake.BlockItem(day, ""), intake.BlockItem(day, "~")) {
		if err != nil {
			return first, n, unreadable(ctx, "Readings")
		}
		if n++; n == 1 {
			first = sealed
		}
	}
	if n == 0 {
		return first, n, advice{"the database has no block of " + day, deployAgain, nil}
	}
	return first, n, nil
}

// index returns the sealed index entry of a recording.
func (o operator) index(ctx context.Context, user, recording string) ([]byte, error) {
	sealed, found, err := o.tables.Get(ctx, user, intake.RecordItem(recording))
	if err != nil {
		return nil, unreadable(ctx, "Readings")
	}
	if !found {
		return nil, advice{"the database has no index entry of the recording", deployAgain, nil}
	}
	return sealed, nil
}

// unreadable says nothing of the SDK's error: its text may repeat an item.
func unreadable(ctx context.Context, table string) error {
	if ctx.Err() != nil {
		return advice{"stopped", "", nil}
	}
	return advice{"the operator cannot read the table " + table, "make status says what is up; make up starts what is not", nil}
}

// events returns the events since began that belong to one of the requests, in
// order. A day's events are spread over 256 partitions, so the local table is
// scanned; ids begin with the time.
func (o operator) events(ctx context.Context, began time.Time, requests map[string]bool) ([]auditlog.Event, error) {
	pages := dynamodb.NewScanPaginator(o.tables.Client, &dynamodb.ScanInput{
		TableName:                 aws.String(o.tables.AuditEvents),
		ConsistentRead:            aws.Bool(true),
		FilterExpression:          aws.String("#i >= :since"),
		ExpressionAttributeNames:  map[string]string{"#i": "id"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":since": &types.AttributeValueMemberS{Value: auditlog.LeastID(began)}},
	})
	var found []auditlog.Event
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, unreadable(ctx, "AuditEvents")
		}
		for _, item := range page.Items {
			e, err := dynamo.DecodeEvent(item)
			if err != nil {
				return nil, advice{"an audit event has a form that is not known here", deployAgain, nil}
			}
			if requests[e.Request] {
				found = append(found, e)
			}
		}
	}
	slices.SortFunc(found, func(a, b auditlog.Event) int { return cmp.Compare(a.ID, b.ID) })
	return found, nil
}

// eventTable shows who did what, and which policies decided. known has the names of
// callers, app is the client of another's app.
func eventTable(events []auditlog.Event, known map[string]string, app string) string {
	rows := [][]string{{"time", "action", "outcome", "who", "records", "reasons"}}
	for _, e := range events {
		who := cmp.Or(known[e.Caller], e.Caller)
		if e.Client == app {
			who += ", by the app"
		}
		outcome := strings.TrimSpace(string(e.Outcome) + " " + e.Kind)
		records := ""
		if e.Records > 0 {
			records = strconv.Itoa(e.Records)
		}
		rows = append(rows, []string{e.Time.UTC().Format("15:04:05.000"), e.Action, outcome, who, records, strings.Join(e.Reasons, ", ")})
	}
	return table(rows...)
}
