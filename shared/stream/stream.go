// Package stream reads batches of the Readings table's stream: of which owners
// which parts of days have to be made again. Only the keys of an item are in the
// stream (StreamViewType KEYS_ONLY); what is stored is read from the table.
//
// One record's failure is answered as that record's (ReportBatchItemFailures):
// the others of its batch are done.
package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"fitvault/shared/access"
	"fitvault/shared/days"
	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// event is a Lambda event of a DynamoDB stream, as far as it is read here. (The
// types of aws-lambda-go panic where an attribute is of another type.)
type event struct {
	Records []struct {
		DynamoDB struct {
			Keys struct {
				Owner, Item struct {
					S string `json:"S"`
				}
			} `json:"Keys"`
			SequenceNumber string `json:"SequenceNumber"`
		} `json:"dynamodb"`
	} `json:"Records"`
}

// Work is all that a batch asks for of one owner.
type Work struct {
	redact.Mark
	Owner access.UserID
	Parts []string // distinct, in the order of their first record
}

// Batch is a batch that was read.
type Batch struct {
	redact.Mark
	Works []Work // one for each owner, in the order of their first record
	// Strange counts the records whose keys no item of ours has. Nothing can be
	// made of them, ever: to try again would only hold up the others.
	Strange int

	records []record
}

type record struct {
	number string // sequence number
	owner  access.UserID
	part   string
}

// maxNumber is the most digits of a sequence number (DynamoDB API, StreamRecord).
const maxNumber = 40

// Read reads an event. Records of items that no part is made of are passed over.
// An event that is none is fault.Internal.
func Read(raw []byte) (*Batch, error) {
	var e event
	if err := json.Unmarshal(raw, &e); err != nil || len(e.Records) == 0 {
		return nil, fault.New(fault.Internal, "not an event of a stream")
	}
	b := &Batch{}
	for _, r := range e.Records {
		number, keys := r.DynamoDB.SequenceNumber, r.DynamoDB.Keys
		if number == "" || len(number) > maxNumber { // it could not be answered
			return nil, fault.New(fault.Internal, "a stream's record without a sequence number")
		}
		owner, err := access.ParseUserID(keys.Owner.S)
		part, ok := days.PartOf(keys.Item.S)
		if err != nil || !ok {
			b.Strange++
			continue
		}
		b.records = append(b.records, record{number, owner, part})
	}
	// Of a batch's order nothing is taken for granted; numbers of one stream
	// compare as numbers.
	slices.SortStableFunc(b.records, func(x, y record) int {
		return cmp.Or(cmp.Compare(len(x.number), len(y.number)), cmp.Compare(x.number, y.number))
	})
	for _, r := range b.records {
		b.Works = add(b.Works, r.owner, r.part)
	}
	return b, nil
}

// add adds a part to its owner's work.
func add(works []Work, owner access.UserID, part string) []Work {
	for i := range works {
		if works[i].Owner == owner {
			if !slices.Contains(works[i].Parts, part) {
				works[i].Parts = append(works[i].Parts, part)
			}
			return works
		}
	}
	return append(works, Work{Owner: owner, Parts: []string{part}})
}

// Do makes an owner's parts again, and returns those with which it failed.
type Do func(ctx context.Context, w Work) (failed []string)

// Run has do do all works, at most parallel owners at a time, and returns what
// failed. A work that panics has failed, and report is told of it; and so has one
// that would begin when less than spare of the context's time is left: what is
// killed amidst its work takes the whole batch along.
func Run(ctx context.Context, works []Work, parallel int, spare time.Duration, do Do, report func(error)) (failed []Work) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, w := range works {
		group.Go(func() error {
			parts := w.Parts
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) >= spare {
				if err := fault.Recovered(func() error {
					parts = do(ctx, w)
					return nil
				}); err != nil {
					report(err)
				}
			}
			if len(parts) > 0 {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, Work{Owner: w.Owner, Parts: parts})
			}
			return nil
		})
	}
	_ = group.Wait()
	return failed
}

// Answer is what the function returns: the records to be tried again.
type Answer struct {
	Failures []Failure `json:"batchItemFailures"`
}

// Failure names one record.
type Failure struct {
	Number string `json:"itemIdentifier"`
}

// Answer names the records of the failed works.
func (b *Batch) Answer(failed []Work) Answer {
	a := Answer{Failures: []Failure{}}
	for _, r := range b.records {
		if slices.ContainsFunc(failed, func(w Work) bool { return w.Owner == r.owner && slices.Contains(w.Parts, r.part) }) {
			a.Failures = append(a.Failures, Failure{r.number})
		}
	}
	return a
}
