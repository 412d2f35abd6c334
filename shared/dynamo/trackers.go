package dynamo

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/pairing"
)

// Registrations are in the Accounts table (id "device#" and the device's, document
// "device"); what an owner has paired is in the map `trackers` of his document.
// Challenges, tries and counters are in the Requests table.
const (
	deviceDocument = "device"
	trackersMap    = "trackers"
)

func deviceKey(id pairing.DeviceID) item {
	return item{"id": text("device#" + id.String()), "document": text(deviceDocument)}
}

func ownerKey(owner access.UserID) item {
	return item{"id": text(access.OwnerKey(owner)), "document": text(access.OwnerDocument)}
}

func challengeKey(name pairing.ID) item { return item{"key": text("pairing#" + name.String())} }

func counterKey(name string) item { return item{"key": text("counter#" + name)} }

// triesKey says nothing about whose tries they are, for which tracker.
func triesKey(owner access.UserID, id pairing.DeviceID) item {
	h := sha256.Sum256([]byte(owner.String() + " " + id.String())) // a user id has no space
	return item{"key": text("tries#" + base64.RawURLEncoding.EncodeToString(h[:]))}
}

// Register stores a new registration, and reports false where the id is taken.
func (t Tables) Register(ctx context.Context, d pairing.Device) (bool, error) {
	i := deviceKey(d.ID)
	i["model"], i["key"], i["code_hash"], i["state"] = text(d.Model.String()), bytes(d.Key.Bytes()), bytes(d.CodeHash[:]), text(string(d.State))
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.Accounts), Item: i,
		ConditionExpression: aws.String("attribute_not_exists(id)")})
	if conflicted(err) {
		return false, nil
	}
	return err == nil, err
}

// Device implements pairing.Store.
func (t Tables) Device(ctx context.Context, id pairing.DeviceID) (pairing.Device, bool, error) {
	out, err := t.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(t.Accounts), ConsistentRead: aws.Bool(true), Key: deviceKey(id)})
	if err != nil || out.Item == nil {
		return pairing.Device{}, false, err
	}
	d := pairing.Device{ID: id, State: pairing.State(getText(out.Item, "state"))}
	var err1, err2, err3 error
	d.Model, err1 = pairing.ParseModel(getText(out.Item, "model"))
	d.Key, err2 = pairing.ParseKey(getBytes(out.Item, "key"))
	if name := getText(out.Item, "pairing"); name != "" {
		d.Pairing, err3 = pairing.ParseID(name)
	}
	code := getBytes(out.Item, "code_hash")
	if err1 != nil || err2 != nil || err3 != nil || len(code) != sha256.Size ||
		d.State != pairing.New && d.State != pairing.Paired && d.State != pairing.Retired || (d.State == pairing.Paired) != (d.Pairing != pairing.ID{}) {
		return pairing.Device{}, false, errShape
	}
	d.CodeHash = [sha256.Size]byte(code)
	return d, true, nil
}

// CountTry implements pairing.Store: a try in the window that there is, else the
// first of a new one.
func (t Tables) CountTry(ctx context.Context, owner access.UserID, id pairing.DeviceID, now time.Time) (bool, error) {
	count := func(update, condition string, values item) (bool, error) {
		_, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(t.Requests), Key: triesKey(owner, id),
			UpdateExpression: aws.String(update), ConditionExpression: aws.String(condition),
			ExpressionAttributeNames: map[string]string{"#e": "expires"}, ExpressionAttributeValues: values})
		if conflicted(err) {
			return false, nil
		}
		return err == nil, err
	}
	for range 2 { // where somebody else has begun the window meanwhile, it is counted in it
		counted, err := count("SET tries = tries + :one", "#e > :now AND tries < :most",
			item{":one": number(1), ":now": number(now.Unix()), ":most": number(pairing.Tries)})
		if counted || err != nil {
			return counted, err
		}
		counted, err = count("SET tries = :one, #e = :until", "attribute_not_exists(#e) OR #e <= :now",
			item{":one": number(1), ":now": number(now.Unix()), ":until": number(now.Add(pairing.TriesWindow).Unix())})
		if counted || err != nil {
			return counted, err
		}
	}
	return false, nil
}

// Begin implements pairing.Store.
func (t Tables) Begin(ctx context.Context, c pairing.Challenge) error {
	hash := c.T1.Hash()
	i := challengeKey(c.T1.Pairing)
	i["owner"], i["device"], i["deployment"] = text(c.Owner.String()), text(c.T1.Device.String()), text(c.T1.Deployment)
	i["key_hash"], i["tracker_nonce"], i["service_nonce"] = bytes(c.T1.KeyHash[:]), bytes(c.T1.TrackerNonce[:]), bytes(c.T1.ServiceNonce[:])
	i["public"], i["old"], i["was"], i["code_hash"] = bytes(c.Key.Bytes()), bytes(c.Old.Bytes()), text(string(c.Was)), bytes(c.CodeHash[:])
	i["t1"], i["used"], i["tries"], i["expires"] = bytes(hash[:]), &types.AttributeValueMemberBOOL{}, number(0), number(c.T1.Expires.Unix())
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.Requests), Item: i,
		ConditionExpression: aws.String("attribute_not_exists(#k)"), ExpressionAttributeNames: map[string]string{"#k": "key"}})
	if conflicted(err) {
		return ErrConflict
	}
	return err
}

// Attempt implements pairing.Store.
func (t Tables) Attempt(ctx context.Context, name pairing.ID, owner access.UserID, now time.Time) (pairing.Challenge, bool, error) {
	out, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(t.Requests), Key: challengeKey(name),
		UpdateExpression:         aws.String("SET tries = tries + :one"),
		ConditionExpression:      aws.String("#o = :owner AND used = :no AND tries < :most AND #e > :now"),
		ExpressionAttributeNames: map[string]string{"#e": "expires", "#o": "owner"},
		ExpressionAttributeValues: item{":one": number(1), ":most": number(pairing.Tries), ":now": number(now.Unix()), ":owner": text(owner.String()),
			":no": &types.AttributeValueMemberBOOL{}},
		ReturnValues: types.ReturnValueAllNew})
	if conflicted(err) {
		return pairing.Challenge{}, false, nil
	}
	if err != nil {
		return pairing.Challenge{}, false, err
	}
	c, err := decodeChallenge(name, out.Attributes)
	return c, err == nil, err
}

func decodeChallenge(name pairing.ID, i item) (c pairing.Challenge, err error) {
	var errs [4]error
	c.Owner, errs[0] = access.ParseUserID(getText(i, "owner"))
	c.T1.Device, errs[1] = pairing.ParseDeviceID(getText(i, "device"))
	c.Key, errs[2] = pairing.ParseKey(getBytes(i, "public"))
	c.Old, errs[3] = pairing.ParseKey(getBytes(i, "old"))
	expires, ok := getNumber(i, "expires")
	for name, to := range map[string]*[32]byte{"key_hash": &c.T1.KeyHash, "tracker_nonce": (*[32]byte)(&c.T1.TrackerNonce),
		"service_nonce": (*[32]byte)(&c.T1.ServiceNonce), "code_hash": &c.CodeHash} {
		b := getBytes(i, name)
		if len(b) != len(to) {
			return pairing.Challenge{}, errShape
		}
		copy(to[:], b)
	}
	if errors.Join(errs[:]...) != nil || !ok {
		return pairing.Challenge{}, errShape
	}
	c.T1.Deployment, c.T1.Pairing, c.T1.Expires, c.Was = getText(i, "deployment"), name, time.Unix(expires, 0).UTC(), pairing.State(getText(i, "was"))
	return c, nil
}

// contended is how often something is tried that met a transaction of others. One of
// them wins each time, so the others soon see what it has done.
const contended = 10

// contend repeats what met a transaction of others.
func contend(ctx context.Context, attempt func() error) error {
	for try := 1; ; try++ {
		err := attempt()
		var met *types.TransactionConflictException
		if !errors.As(err, &met) && (!conflicted(err) || failedCondition(err)) || try == contended {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 10 * time.Millisecond):
		}
	}
}

// transact reports false where a condition fails.
func (t Tables) transact(ctx context.Context, steps ...types.TransactWriteItem) (bool, error) {
	err := contend(ctx, func() error {
		_, err := t.Client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: steps})
		return err
	})
	if failedCondition(err) {
		return false, nil
	}
	return err == nil, unavailable(err)
}

// failedCondition reports whether a write failed for what the items are, not for
// another transaction.
func failedCondition(err error) bool {
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return true
	}
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		for _, r := range cancelled.CancellationReasons {
			if aws.ToString(r.Code) == "ConditionalCheckFailed" {
				return true
			}
		}
	}
	return false
}

// unavailable drops a cancellation's reasons: they may carry items.
func unavailable(err error) error {
	if conflicted(err) {
		return fault.New(fault.Unavailable, "others are at the same items")
	}
	return err
}

func (t Tables) update(table string, key item, update, condition string, names map[string]string, values item) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{TableName: aws.String(table), Key: key, UpdateExpression: aws.String(update),
		ConditionExpression: aws.String(condition), ExpressionAttributeNames: names, ExpressionAttributeValues: values}}
}

// Pair implements pairing.Store with one transaction.
func (t Tables) Pair(ctx context.Context, c pairing.Challenge, tracker access.Tracker) error {
	// A document from before there were trackers has no map that one could go into.
	_, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(t.Accounts), Key: ownerKey(c.Owner),
		UpdateExpression: aws.String("SET #t = if_not_exists(#t, :none)"), ConditionExpression: aws.String("#s = :active"),
		ExpressionAttributeNames:  map[string]string{"#t": trackersMap, "#s": "state"},
		ExpressionAttributeValues: item{":none": &types.AttributeValueMemberM{Value: item{}}, ":active": text(string(access.Active))}})
	if conflicted(err) {
		return pairing.ErrTaken
	}
	if err != nil {
		return err
	}
	hash := c.T1.Hash()
	done, err := t.transact(ctx,
		t.update(t.Requests, challengeKey(c.T1.Pairing), "SET used = :yes", "used = :no AND t1 = :t1", nil,
			item{":yes": &types.AttributeValueMemberBOOL{Value: true}, ":no": &types.AttributeValueMemberBOOL{}, ":t1": bytes(hash[:])}),
		t.update(t.Accounts, deviceKey(c.T1.Device), "SET #s = :paired, #k = :key, code_hash = :code, pairing = :name", "#s = :was AND #k = :old",
			map[string]string{"#s": "state", "#k": "key"},
			item{":paired": text(string(pairing.Paired)), ":was": text(string(c.Was)), ":old": bytes(c.Old.Bytes()),
				":key": bytes(c.Key.Bytes()), ":code": bytes(c.CodeHash[:]), ":name": text(c.T1.Pairing.String())}),
		t.update(t.Accounts, ownerKey(c.Owner), "SET #t.#d = :t", "#s = :active AND size(#t) < :most AND attribute_not_exists(#t.#d)",
			map[string]string{"#t": trackersMap, "#d": c.T1.Device.String(), "#s": "state"},
			item{":t": encodeTracker(tracker), ":active": text(string(access.Active)), ":most": number(access.MaxTrackers)}),
	)
	if err == nil && !done {
		return pairing.ErrTaken
	}
	return err
}

// Change gives a tracker of an active account another name or state, where t has
// one, and returns it as it is then; false where the account has none of this pairing.
func (t Tables) Change(ctx context.Context, owner access.UserID, id pairing.DeviceID, tracker access.Tracker) (access.Tracker, bool, error) {
	names := map[string]string{"#t": trackersMap, "#d": id.String(), "#a": "state"}
	values := item{":pairing": text(tracker.Pairing), ":active": text(string(access.Active))}
	var set []string
	for name, value := range map[string]string{"name": tracker.Name, "state": string(tracker.State)} {
		if value != "" {
			set = append(set, "#t.#d.#"+name+" = :"+name)
			names["#"+name], values[":"+name] = name, text(value)
		}
	}
	out, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(t.Accounts), Key: ownerKey(owner),
		UpdateExpression:         aws.String("SET " + strings.Join(set, ", ")),
		ConditionExpression:      aws.String("#a = :active AND #t.#d.pairing = :pairing"),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values, ReturnValues: types.ReturnValueAllNew})
	if conflicted(err) {
		return access.Tracker{}, false, nil
	}
	if err != nil {
		return access.Tracker{}, false, err
	}
	all, err := decodeTrackers(out.Attributes[trackersMap])
	if err != nil {
		return access.Tracker{}, false, err
	}
	return all[id.String()], true, nil
}

// Unpair takes a tracker out of an account and retires its key, in one step; false
// where it is not paired so. Its counter goes too: the pairing's name never comes back.
func (t Tables) Unpair(ctx context.Context, owner access.UserID, id pairing.DeviceID, name pairing.ID) (bool, error) {
	return t.transact(ctx,
		t.update(t.Accounts, deviceKey(id), "SET #s = :retired REMOVE pairing", "#s = :paired AND pairing = :name", map[string]string{"#s": "state"},
			item{":retired": text(string(pairing.Retired)), ":paired": text(string(pairing.Paired)), ":name": text(name.String())}),
		t.update(t.Accounts, ownerKey(owner), "REMOVE #t.#d", "#t.#d.pairing = :name", map[string]string{"#t": trackersMap, "#d": id.String()},
			item{":name": text(name.String())}),
		types.TransactWriteItem{Delete: &types.Delete{TableName: aws.String(t.Requests), Key: counterKey(name.String())}},
	)
}

// Advance implements intake.Counters. A counter has no end of life: one that was
// forgotten would let an old payload in again.
func (t Tables) Advance(ctx context.Context, name string, n int64, mark []byte, at time.Time) (bool, error) {
	_, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(t.Requests), Key: counterKey(name),
		UpdateExpression:          aws.String("SET #c = :n, mark = :mark, taken = :at"),
		ConditionExpression:       aws.String("attribute_not_exists(#c) OR #c < :n OR (#c = :n AND mark = :mark AND taken > :old)"),
		ExpressionAttributeNames:  map[string]string{"#c": "counter"},
		ExpressionAttributeValues: item{":n": number(n), ":mark": bytes(mark), ":at": number(at.Unix()), ":old": number(at.Add(-intake.Keep).Unix())}})
	if conflicted(err) {
		return false, nil
	}
	return err == nil, err
}

func encodeTracker(t access.Tracker) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: item{"pairing": text(t.Pairing), "key": bytes(t.Key), "name": text(t.Name),
		"state": text(string(t.State)), "since": number(t.Since.Unix())}}
}

func decodeTrackers(v types.AttributeValue) (map[string]access.Tracker, error) {
	m, ok := v.(*types.AttributeValueMemberM)
	if v == nil || ok && len(m.Value) == 0 {
		return nil, nil
	}
	broken := fault.New(fault.Internal, "owner document: trackers are not readable")
	if !ok {
		return nil, broken
	}
	all := make(map[string]access.Tracker, len(m.Value))
	for id, v := range m.Value {
		one, ok := v.(*types.AttributeValueMemberM)
		if !ok {
			return nil, broken
		}
		i := one.Value
		since, ok := getNumber(i, "since")
		t := access.Tracker{Pairing: getText(i, "pairing"), Key: getBytes(i, "key"), Name: getText(i, "name"), State: access.State(getText(i, "state")),
			Since: time.Unix(since, 0).UTC()}
		if !ok || t.Pairing == "" || len(t.Key) != pairing.KeySize || t.State != access.Active && t.State != access.Lost {
			return nil, broken
		}
		all[id] = t
	}
	return all, nil
}
