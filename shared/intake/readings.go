package intake

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"fitvault/shared/block"
	"fitvault/shared/fault"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
	"fitvault/shared/vault"
)

// maxPuts is how many blocks of one batch are stored at a time.
const maxPuts = 16

// Readings takes in data points, or a data series, and returns a result for
// each record, in order. Errors: the fault kinds of openmhealth.Decode; Forbidden,
// KeyReused, SignatureRefused, Unavailable, Internal.
func (in *Intake) Readings(ctx context.Context, r Request) ([]openmhealth.Result, error) {
	keys, err := in.Keys.Requests(ctx)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(r.Body)
	m := in.propose(keys, "readings", r, digest)
	batch, refused := openmhealth.Decode(r.Body, r.Owner, openmhealth.Intake)
	if rule := in.refuses(r); refused == nil && rule != nil {
		refused = batch.Refuse(rule)
	}
	var sealer sealing
	defer sealer.wait()
	switch {
	case refused == nil:
		m.Count = len(batch.Results)
		if m.Rejected, m.Blocks, err = in.cut(batch); err != nil {
			return nil, err
		}
		if r.Signed != nil {
			if err := in.advance(ctx, keys, r, m, digest); err != nil {
				return nil, err
			}
		}
		sealer.begin(ctx, in.Keys, r)
		if m, err = in.claim(ctx, m); err != nil {
			return nil, err
		}
	case fault.KindOf(refused) == fault.Invalid:
		if m, err = in.find(ctx, m, refused); err != nil {
			return nil, err
		}
		sealer.begin(ctx, in.Keys, r)
	default:
		return nil, refused
	}

	if err := withdrawn(m, batch.Results); err != nil {
		return nil, err
	}
	if err := r.Record(ctx, m.Key, m.Count-len(m.Rejected), len(m.Rejected)); err != nil {
		return nil, err
	}
	points, err := pointsOf(m, r.Body, batch)
	if err != nil {
		return nil, err
	}
	if err := in.storeBlocks(ctx, r, m, &sealer, batch.Series, points); err != nil {
		return nil, err
	}
	return answer(m, points, batch.Results)
}

// sharing is how many readings of a series pay for its header, which is stored
// once in a block but comes out with each: a block's readings must keep to what
// a reader unpacks (segment.DefaultLimits).
const sharing = 10

// cut divides the accepted readings by UTC day, in the order they came, into
// blocks of at most MaxBlock of text.
func (in *Intake) cut(batch openmhealth.Batch) (rejected []Rejected, blocks []Block, err error) {
	open := map[int64]int{} // day → its last block
	size := []int{}         // of each block
	last, at := int64(math.MinInt64), -1
	next := 0
	for _, result := range batch.Results {
		if !result.Accepted {
			rejected = append(rejected, Rejected{result.Index, result.Pointer, result.Rule})
			continue
		}
		r := &batch.Records[next]
		next++
		length := r.Size + batch.Shared/sharing
		if day := dayOf(r.Start); day != last { // most come in the order of time
			var ok bool
			if at, ok = open[day]; !ok {
				at = -1
			}
			last = day
		}
		if at < 0 || size[at]+length > MaxBlock {
			id, err := in.newID()
			if err != nil {
				return nil, nil, err
			}
			at = len(blocks)
			blocks, size = append(blocks, Block{Day: r.Start.Format(time.DateOnly), ID: id}), append(size, 0)
			open[last] = at
		}
		blocks[at].add(result.Index)
		size[at] += length
	}
	return rejected, blocks, nil
}

// dayOf numbers the days of UTC.
func dayOf(t time.Time) int64 {
	const day = 24 * 60 * 60
	seconds := t.Unix()
	if seconds < 0 {
		seconds -= day - 1
	}
	return seconds / day
}

// pointsOf returns, by index, the data points of a request that the manifest may
// have accepted; others are nil. They are the ones just decoded, unless other
// rules decided the manifest.
func pointsOf(m Manifest, body []byte, batch openmhealth.Batch) ([]*openmhealth.Record, error) {
	points := make([]*openmhealth.Record, len(batch.Results))
	next := 0
	for i, result := range batch.Results {
		if result.Accepted {
			points[i] = &batch.Records[next]
			next++
		}
	}
	for _, b := range m.Blocks {
		if b.each(func(i int) error {
			if i < 0 || i >= len(points) || points[i] == nil {
				return errOtherRules
			}
			return nil
		}) == nil {
			continue
		}
		all, err := openmhealth.Points(body, openmhealth.Intake)
		if err != nil {
			return nil, err
		}
		points = make([]*openmhealth.Record, len(all))
		for i, p := range all {
			// A point that fails here was not accepted then, so no block names it.
			if r, err := reading.FromPoint(p); err == nil {
				points[i] = &openmhealth.Record{ID: r.ID, Point: segment.Document{Whole: &all[i]}}
			}
		}
		return points, nil
	}
	return points, nil
}

var errOtherRules = errors.New("other rules decided this manifest")

func (in *Intake) storeBlocks(ctx context.Context, r Request, m Manifest, s *sealing, series bool, points []*openmhealth.Record) error {
	sealer, err := s.wait()
	if err != nil {
		return err
	}
	// A batch may span a thousand days; its blocks do not wait for one another.
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxPuts)
	for _, b := range m.Blocks {
		group.Go(func() error { return in.storeBlock(ctx, sealer, r, b, series, points) })
	}
	return group.Wait()
}

func (in *Intake) storeBlock(ctx context.Context, sealer *vault.Sealer, r Request, b Block, series bool, points []*openmhealth.Record) error {
	documents := make([]*segment.Document, 0, len(points))
	if err := b.each(func(i int) error {
		if i < 0 || i >= len(points) || points[i] == nil {
			return fault.New(fault.Internal, "manifest names a record that the body does not have")
		}
		documents = append(documents, &points[i].Point)
		return nil
	}); err != nil {
		return err
	}
	packed, err := segment.EncodeDocuments(documents)
	if err != nil {
		return fault.Wrap(fault.Internal, "readings cannot be packed", err)
	}
	// Not the manifest's time: a retry may come days later, and what is stored by
	// it is new to everybody who has asked for changes since.
	arrived := in.Now()
	header := block.Header{Client: r.Client, Rank: r.Rank, Arrived: arrived, Series: series}
	if r.Signed != nil {
		header.Rank, header.Signature = block.RankTracker, r.Signed.Text
	}
	plain, err := block.Encode(header, packed)
	if err != nil {
		return fault.Wrap(fault.Internal, "block cannot be encoded", err)
	}
	sealed, err := sealer.Seal(BlockPlace(in.Deployment, r.Owner, b.Day, b.ID), plain)
	if err != nil {
		return fault.Wrap(fault.Internal, "block cannot be sealed", err)
	}
	if err := in.Blocks.PutOnce(ctx, r.Owner, BlockItem(b.Day, b.ID), sealed, arrived); err != nil {
		return fault.Wrap(fault.Unavailable, "block cannot be stored", err)
	}
	return nil
}

// answer renders the manifest's decisions, the same for every retry, in the place of
// what was decided just now.
func answer(m Manifest, points []*openmhealth.Record, decided []openmhealth.Result) ([]openmhealth.Result, error) {
	if m.Count < 0 || m.Count > openmhealth.Intake.Records {
		return nil, fault.New(fault.Internal, "manifest has more records than a body can have")
	}
	results := slices.Grow(decided[:0], m.Count)[:m.Count]
	for i := range results {
		results[i] = openmhealth.Result{Index: i, Accepted: true}
	}
	for _, r := range m.Rejected {
		if r.Index < 0 || r.Index >= m.Count {
			return nil, fault.New(fault.Internal, "manifest names a record that the body does not have")
		}
		results[r.Index] = openmhealth.Result{Index: r.Index, Pointer: r.Pointer, Rule: r.Rule}
	}
	for i := range results {
		if results[i].Accepted && i < len(points) && points[i] != nil {
			results[i].ID = points[i].ID
		}
	}
	return results, nil
}
