package sequence

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/redact"
)

// Kinds of alarms over the key that wraps the owners' private keys.
const (
	KeyUsedByOther  = "key-used-by-other"      // by an identity that is given no such use, or one that nobody could read
	KeyUsedUnlogged = "key-used-without-event" // a function opened an owner's key, and no event of that owner by it is near
)

const (
	// near is how far an event and a use that goes with it may be apart. An event comes
	// before its use and both within one call, so it is far more than clocks and time
	// limits need; the less of it, the less can be hidden beside somebody's own reading.
	near = 10 * time.Minute

	// settled is how old uses must be: KMS's records come up to 15 minutes late, and
	// what came after its time had been looked at would never be.
	settled = 30 * time.Minute

	// began is how far back the first run looks.
	began = time.Hour

	// memory is how far back is looked at most. CloudTrail keeps records for 90 days,
	// but events that are in the log only for 35 beside it.
	memory = 34 * 24 * time.Hour

	// pages is how many pages of uses a run reads: two a second may be asked for, by all
	// of the account together, and a run has four minutes.
	pages = 200

	// again is the longest time that is looked at by hand.
	again = 24 * time.Hour
)

// ErrSpan is returned for a time that cannot be looked at by hand.
var ErrSpan = fault.New(fault.BadRequest, "a time is from before to, of a day at most, not in the future, and of the last 34 days")

// Use is a use of the key that wraps the owners' private keys, as KMS has recorded it.
type Use struct {
	redact.Mark
	ID         string    // of the record
	Time       time.Time // to the second
	Operation  string    // KMS's name of it; "" of what is not KMS's
	Role       string    // ARN of the role that used it; "" of who has none
	Failed     bool      // KMS refused, or could not: nothing was opened
	Strange    bool      // the record cannot be read; ID and Time are told beside it
	Deployment string    // these three are the encryption context (keyring.Context)
	Key        string    // id of an owner's key
	Purpose    string
}

// Uses is what KMS's records say of the key. Page returns some of the uses from ≤ t <
// to, whole seconds both, the newest first, and with what to ask for those before
// them; "" where these were all. A page may be empty.
type Uses interface {
	Page(ctx context.Context, from, to time.Time, token string) (uses []Use, next string, err error)
}

// Owners says which keys owners have: the ids of those that there are.
type Owners interface {
	KeyIDs(ctx context.Context, owners []string) (map[string][]string, error)
}

// Compared keeps up to when uses were compared, to the second; zero where none were.
type Compared interface {
	Compared(ctx context.Context) (time.Time, error)
	KeepCompared(ctx context.Context, upTo time.Time) error
}

// User is what a role may do with the key.
type User struct {
	Operation string
	Function  string // that writes an event before each; "" where nothing is opened
}

// harmless are the operations that only look at the key or look after it: they open
// nothing, make nothing that it wraps, and hand it to nobody. All others are judged.
var harmless = []string{"CancelKeyDeletion", "CreateAlias", "DeleteAlias", "DescribeKey", "DisableKey", "DisableKeyRotation", "EnableKey", "EnableKeyRotation",
	"GetKeyPolicy", "GetKeyRotationStatus", "GetPublicKey", "ListAliases", "ListGrants", "ListKeyPolicies", "ListKeyRotations", "ListResourceTags", "RetireGrant",
	"RevokeGrant", "RotateKey", "RotateKeyOnDemand", "ScheduleKeyDeletion", "TagResource", "UntagResource", "UpdateAlias", "UpdateKeyDescription"}

// compareUses holds the uses of the key since the last run to the roles that may, and
// those that open to the events. The oldest come first, a slice at a time: up to one
// moment all were compared, and what a run has no time for is the next one's. Only
// of a slice with more uses than a run can read the oldest are passed over, and said
// to be; and what was not read in time before the records ended.
//
// What it cannot see: an opening beside an event of the same owner by the same function,
// a use in another region, and who goes on using a key that he has unwrapped.
func (s Sequencer) compareUses(ctx context.Context, head Head, until time.Time, r *Result) error {
	place, err := s.Compared.Compared(ctx)
	if err != nil {
		return unavailable("up to when uses of keys were compared is not known", err)
	}
	now := s.Now().UTC().Truncate(time.Second)
	end := now.Add(-settled)
	if taken := head.Taken.Add(-near).UTC().Truncate(time.Second); taken.Before(end) { // else their events may not have been looked at
		end = taken
	}
	if place.After(now) {
		return fault.New(fault.Internal, "uses of keys were compared up to a time that has not come")
	}
	if place.IsZero() {
		place = end.Add(-began)
	}
	if oldest := now.Add(-memory); place.Before(oldest) {
		r.Unseen += oldest.Sub(place)
		place = oldest
	}
	for left := pages; place.Before(end) && left > 0 && s.Now().Before(until); {
		upTo := place.Add(slice)
		if upTo.After(end) {
			upTo = end
		}
		uses, read, all, err := s.readUses(ctx, place, upTo, left, until)
		if err != nil {
			return err
		}
		if !all && left < pages { // the next run begins with it
			break
		}
		if left -= read; !all {
			r.Unseen += wholeFrom(uses, upTo).Sub(place)
		}
		if err := s.judgeUses(ctx, head, place, upTo, uses, r); err != nil {
			return err
		}
		place = upTo
		if err := s.Compared.KeepCompared(ctx, place); err != nil {
			return unavailable("up to when uses of keys were compared cannot be kept", err)
		}
	}
	r.UsesBehind = max(0, end.Sub(place)) // where the log is behind, it has an alarm of its own
	return nil
}

// CompareUses looks at the uses of a time, by hand: nothing is kept of it, so neither
// does it make the hourly run pass anything over. What is found is told again, and uses of the
// last minutes may not have been recorded yet.
func (s Sequencer) CompareUses(ctx context.Context, from, to, until time.Time) (r Result, err error) {
	from, to = from.UTC().Truncate(time.Second), to.UTC().Truncate(time.Second)
	if now := s.Now(); !from.Before(to) || to.Sub(from) > again || to.After(now) || from.Before(now.Add(-memory)) {
		return r, ErrSpan
	}
	head, err := s.begin(ctx)
	if err != nil {
		return r, err
	}
	for left := pages; from.Before(to); {
		upTo := from.Add(slice)
		if upTo.After(to) {
			upTo = to
		}
		uses, read, all, err := s.readUses(ctx, from, upTo, left, until)
		if err != nil {
			return r, err
		}
		if err := s.judgeUses(ctx, head, from, upTo, uses, &r); err != nil {
			return r, err
		}
		if left -= read; !all || !s.Now().Before(until) {
			r.Unseen = to.Sub(upTo)
			if !all {
				r.Unseen += wholeFrom(uses, upTo).Sub(from)
			}
			break
		}
		from = upTo
	}
	r.Size = head.Tree.N
	return r, nil
}

// wholeFrom is from when on uses were all read that go back to the last of some: of its
// second there may be more. A time where there is none.
func wholeFrom(uses []Use, none time.Time) time.Time {
	if len(uses) == 0 {
		return none
	}
	return uses[len(uses)-1].Time.Add(time.Second)
}

// readUses reads the uses of a time, at most so many pages of them and not past until, and whether these were all.
func (s Sequencer) readUses(ctx context.Context, from, to time.Time, most int, until time.Time) (uses []Use, read int, all bool, err error) {
	for token := ""; ; {
		if read == most || read > 0 && !s.Now().Before(until) {
			return uses, read, false, nil
		}
		some, next, err := s.Uses.Page(ctx, from, to, token)
		if err != nil {
			return nil, read, false, unavailable("uses of keys cannot be read", err)
		}
		uses = append(uses, some...)
		if read++; next == "" {
			return uses, read, true, nil
		}
		token = next
	}
}

// judgeUses counts the uses of a time, and tells of those that should not have been.
func (s Sequencer) judgeUses(ctx context.Context, head Head, from, to time.Time, uses []Use, r *Result) error {
	var others, alone []Use
	opened := map[string][]Use{} // by the function that must have told of it
	for _, u := range uses {
		user, may := s.Users[u.Role]
		switch {
		case u.Strange:
			others = append(others, u)
		case slices.Contains(harmless, u.Operation):
			continue
		case u.Failed:
			r.Refused++
		case !may || user.Operation != u.Operation || u.Deployment != s.Deployment || u.Purpose != keyring.PurposeData || !keyID.MatchString(u.Key):
			others = append(others, u)
		case user.Function != "":
			opened[user.Function] = append(opened[user.Function], u)
		}
		r.Uses++
	}
	if len(opened) > 0 {
		told, err := s.eventsNear(ctx, head, from, to, opened)
		if err != nil {
			return err
		}
		for function, uses := range opened {
			for _, u := range uses {
				if !told.near(function, u.Key, u.Time) {
					alone = append(alone, u)
				}
			}
		}
	}
	r.UsedByOther += int64(len(others))
	r.UsedUnlogged += int64(len(alone))
	if err := s.tell(ctx, KeyUsedByOther, others); err != nil {
		return err
	}
	return s.tell(ctx, KeyUsedUnlogged, alone)
}

// told is when functions wrote events of the owner of a key.
type told map[[2]string][]time.Time // by function and the key's id

func (t told) near(function, key string, at time.Time) bool {
	return slices.ContainsFunc(t[[2]string{function, key}], func(event time.Time) bool { return event.Sub(at).Abs() <= near })
}

// eventsNear reads the events that may go with uses. Records name an owner's key and
// never the owner, so it is asked of each owner which keys are his.
func (s Sequencer) eventsNear(ctx context.Context, head Head, from, to time.Time, opened map[string][]Use) (told, error) {
	byOwner := map[[2]string][]time.Time{} // function, owner
	var owners []string
	asked := map[string]bool{}
	for e, err := range s.Events.Between(ctx, from.Add(-near), to.Add(near)) {
		if err != nil {
			return nil, unavailable("stored events cannot be read", err)
		}
		function, owner := e.Event.Function, e.Event.Owner
		// One that is not taken yet will be; one that the log has gone past stands for nothing.
		waits := e.Mark == nil && !e.Event.Time.Before(head.Taken.Add(-Late))
		if opened[function] == nil || e.Strange || e.Event.Outcome != auditlog.Allowed || owner == "" || !waits && !s.stands(e) {
			continue
		}
		byOwner[[2]string{function, owner}] = append(byOwner[[2]string{function, owner}], e.Event.Time)
		if !asked[owner] {
			asked[owner] = true
			owners = append(owners, owner)
		}
	}
	keys, err := s.Owners.KeyIDs(ctx, owners)
	if err != nil {
		return nil, unavailable("the ids of owners' keys cannot be read", err)
	}
	t := told{}
	for of, times := range byOwner {
		for _, id := range keys[of[1]] {
			t[[2]string{of[0], id}] = append(t[[2]string{of[0], id}], times...)
		}
	}
	return t, nil
}

var (
	recordID  = regexp.MustCompile(`^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	operation = regexp.MustCompile(`^[A-Z][A-Za-z]{1,63}$`)
	keyID     = regexp.MustCompile(`^[a-z2-7]{26}$`) // as enrol names owners' keys
)

// tell raises an alarm of each use, named by its record, and of the rest and of those
// whose names are not of a form that is known one by number. Whose role it was stays with the
// record: who uses a key as he should not has names as he likes.
func (s Sequencer) tell(ctx context.Context, kind string, uses []Use) error {
	more := 0
	for i, u := range uses {
		if i >= named || !recordID.MatchString(u.ID) {
			more++
			continue
		}
		e := auditlog.Event{Kind: kind, About: u.ID, Records: 1}
		if operation.MatchString(u.Operation) {
			e.Changes = append(e.Changes, fmt.Sprint("operation=", u.Operation))
		}
		if keyID.MatchString(u.Key) {
			e.Changes = append(e.Changes, fmt.Sprint("key=", u.Key))
		}
		if f := s.Users[u.Role].Function; f != "" {
			e.Changes = append(e.Changes, fmt.Sprint("function=", f))
		}
		if err := s.raise(ctx, e); err != nil {
			return err
		}
	}
	if more == 0 {
		return nil
	}
	return s.alarm(ctx, kind, more, nil)
}
