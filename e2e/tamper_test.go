package e2e

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
	"fitvault/shared/vault"
)

const (
	today    = "2026-05-04"
	tomorrow = "2026-05-05"

	// Heart rates that no id or digest resembles.
	todays, tomorrows, bens, another = "61.2750131", "62.2750132", "63.2750133", "64.2750134"
)

// scene is an owner with a block on each of two days.
type scene struct {
	behind
	s      *stack.Stack
	owner  *stack.Person
	item   string // of today's block
	sealed []byte
	alarms map[string]event // by request id: what must be found at the end
	began  time.Time
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := stack.Open(t)
	sc := &scene{behind: newBehind(t, s), s: s, owner: s.Newcomer(t), alarms: map[string]event{}, began: time.Now()}
	post(t, sc.owner, today+"T10:00:00Z", todays)
	post(t, sc.owner, tomorrow+"T10:00:00Z", tomorrows)
	blocks := sc.blocks(t, sc.owner.ID)
	require.Len(t, blocks, 2)
	for item, sealed := range blocks {
		if strings.HasPrefix(item, today) {
			sc.item, sc.sealed = item, sealed
		}
	}
	return sc
}

func (sc *scene) id() string { return strings.TrimPrefix(sc.item, today+"#") }

// refused asserts that a person's day is answered with 500 and nothing of it, and
// that another day of his is as ever.
func (sc *scene) refused(t *testing.T, p *stack.Person, date, other string) {
	t.Helper()
	request := isProblem(t, fault.Internal, day(t, p, date), "heart_rate", todays, bens)
	sc.alarms[request] = event{Function: "readings", Action: "readings.read", Caller: p.ID, Client: sc.s.Clients["app"].ID, Owner: p.ID,
		Outcome: "alarm", Kind: "sealed-piece-altered"}
	if other != "" {
		require.Equal(t, http.StatusOK, day(t, p, other).Status)
	}
}

// restored asserts that after the original is back all is as before.
func (sc *scene) restored(t *testing.T) {
	t.Helper()
	sc.overwrite(t, sc.owner.ID, sc.item, sc.sealed)
	require.Contains(t, string(day(t, sc.owner, today).Body), `"value":`+todays)
}

// raised asserts that each refusal has left an event of the read and an alarm.
func (sc *scene) raised(t *testing.T) {
	t.Helper()
	found := eventsSince(t, sc.s, sc.began)
	require.NotEmpty(t, sc.alarms)
	for request, want := range sc.alarms {
		require.Len(t, found[request], 2)
		require.Equal(t, auditlog.Allowed, found[request][0].Outcome)
		alarm := found[request][1]
		want.ID, want.Time, want.Request, want.Reasons, want.Charged = alarm.ID, alarm.Time, request, alarm.Reasons, alarm.Charged
		require.Equal(t, want, alarm)
	}
}

// TestEveryBitOfABlock: a stored block opens, and with any bit flipped it does
// not. All bits are tried with the keys themselves, some of each field through
// the API.
func TestEveryBitOfABlock(t *testing.T) {
	sc := newScene(t)
	header, err := vault.Inspect(sc.sealed)
	require.NoError(t, err)
	place := intake.BlockPlace(deployment, sc.owner.ID, today, sc.id())
	opener := sc.opener(t, sc.owner.ID, header)
	_, err = opener.Open(sc.sealed, place)
	require.NoError(t, err)
	flipped := func(bit int) []byte {
		b := bytes.Clone(sc.sealed)
		b[bit/8] ^= 1 << (bit % 8)
		return b
	}
	for bit := range len(sc.sealed) * 8 {
		_, err := opener.Open(flipped(bit), place)
		require.ErrorIs(t, err, vault.ErrOpen, "bit %d", bit)
	}

	keyID := 3
	writerID := keyID + len(header.KeyID) + 1
	encapsulation := writerID + len(header.WriterKeyID)
	nonce := encapsulation + 65
	box := nonce + 12
	tag := len(sc.sealed) - 16
	for _, field := range []struct {
		name string
		at   []int // bytes
	}{
		{"version", []int{0}},
		{"suite", []int{1}},
		{"length of the key id", []int{2}},
		{"key id", []int{keyID, writerID - 2}},
		{"length of the writer key id", []int{writerID - 1}},
		{"writer key id", []int{writerID, encapsulation - 1}},
		{"encapsulation", []int{encapsulation, encapsulation + 1, encapsulation + 40, nonce - 1}},
		{"nonce", []int{nonce, box - 1}},
		{"ciphertext", []int{box, (box + tag) / 2, tag - 1}},
		{"tag", []int{tag, len(sc.sealed) - 1}},
	} {
		t.Run(field.name, func(t *testing.T) {
			for _, at := range field.at {
				for _, bit := range []int{at * 8, at*8 + 7} {
					sc.overwrite(t, sc.owner.ID, sc.item, flipped(bit))
					sc.refused(t, sc.owner, today, tomorrow)
				}
			}
		})
	}
	for name, broken := range map[string][]byte{"empty": {}, "cut": sc.sealed[:len(sc.sealed)-1], "longer": append(bytes.Clone(sc.sealed), 0), "text": []byte("not a block")} {
		t.Run(name, func(t *testing.T) {
			sc.overwrite(t, sc.owner.ID, sc.item, broken)
			sc.refused(t, sc.owner, today, tomorrow)
		})
	}
	sc.restored(t)
	sc.raised(t)
}

// TestBlockElsewhere: a block opens where it was sealed for, and nowhere else.
func TestBlockElsewhere(t *testing.T) {
	sc := newScene(t)
	ben := sc.s.Newcomer(t)
	post(t, ben, tomorrow+"T10:00:00Z", bens)
	otherID := "bbbbbbbbbbbbbbbbbbbbbbbbba"
	for _, to := range []struct {
		name  string
		who   *stack.Person
		item  string
		date  string
		other string
	}{
		{"another owner", ben, sc.item, today, tomorrow},
		{"another owner, another day", ben, tomorrow + "#" + sc.id(), tomorrow, today},
		{"another day", sc.owner, tomorrow + "#" + sc.id(), tomorrow, today},
		{"another id", sc.owner, today + "#" + otherID, today, tomorrow},
		{"another spelling of the id", sc.owner, today + "#" + strings.ToUpper(sc.id()), today, tomorrow},
		{"no id", sc.owner, today + "#", today, tomorrow},
	} {
		t.Run(to.name, func(t *testing.T) {
			sc.overwrite(t, to.who.ID, to.item, sc.sealed)
			sc.refused(t, to.who, to.date, to.other)
			sc.remove(t, to.who.ID, to.item)
			require.Equal(t, http.StatusOK, day(t, to.who, to.date).Status)
		})
	}
	t.Run("in the place of another of the day", func(t *testing.T) {
		post(t, sc.owner, today+"T11:00:00Z", another)
		for item := range sc.blocks(t, sc.owner.ID) {
			if strings.HasPrefix(item, today) && item != sc.item {
				sc.overwrite(t, sc.owner.ID, item, sc.sealed)
				sc.refused(t, sc.owner, today, tomorrow)
				sc.remove(t, sc.owner.ID, item)
			}
		}
	})
	t.Run("in the place of a recording", func(t *testing.T) {
		item := intake.RecordItem(otherID)
		sc.overwrite(t, sc.owner.ID, item, sc.sealed)
		for _, path := range []string{"/users/me/recordings", "/users/me/recordings/" + otherID} {
			request := isProblem(t, fault.Internal, sc.owner.Do(t, http.MethodGet, path, nil), "heart_rate", todays)
			alarm := event{Function: "readings", Action: "recordings.read", Caller: sc.owner.ID, Client: sc.s.Clients["app"].ID, Owner: sc.owner.ID,
				Outcome: "alarm", Kind: "sealed-piece-altered"}
			sc.alarms[request] = alarm
		}
		sc.remove(t, sc.owner.ID, item)
	})
	sc.restored(t)
	sc.raised(t)
}

// TestAlteredDocument: the same holds for a recording's entry and its original.
func TestAlteredDocument(t *testing.T) {
	sc := newScene(t)
	buckets, bucket := bucketsOf(sc.s), aws.String(sc.s.Output(t, "DocumentsBucket"))
	var made [2]struct{ ID string }
	var document [2]string
	for i, at := range []string{today, tomorrow} {
		answer := sc.owner.Do(t, http.MethodPost, "/users/me/recordings", []byte(recording(at+"T10:00:00Z", "48.1")), "Content-Type", tcxType)
		answer.JSON(t, &made[i])
		item := intake.RecordItem(made[i].ID)
		sealed := sc.blocks(t, sc.owner.ID)[item]
		header, err := vault.Inspect(sealed)
		require.NoError(t, err)
		plain, err := sc.opener(t, sc.owner.ID, header).Open(sealed, intake.IndexPlace(deployment, sc.owner.ID, made[i].ID))
		require.NoError(t, err)
		entry, err := intake.DecodeEntry(plain)
		require.NoError(t, err)
		document[i] = entry.Document
	}
	path := "/users/me/recordings/" + made[0].ID
	broken := func(path string) {
		t.Helper()
		request := isProblem(t, fault.Internal, sc.owner.Do(t, http.MethodGet, path, nil, "Accept", tcxType+", application/json"), "Training", "48.1")
		sc.alarms[request] = event{Function: "readings", Action: "recordings.read", Caller: sc.owner.ID, Client: sc.s.Clients["app"].ID, Owner: sc.owner.ID,
			Outcome: "alarm", Kind: "sealed-piece-altered"}
		require.Equal(t, http.StatusOK, sc.owner.Do(t, http.MethodGet, "/users/me/recordings/"+made[1].ID, nil).Status)
	}
	get := func(key string) []byte {
		object, err := buckets.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String(key)})
		require.NoError(t, err)
		var b bytes.Buffer
		_, err = b.ReadFrom(object.Body)
		require.NoError(t, err)
		require.NoError(t, object.Body.Close())
		return b.Bytes()
	}
	put := func(content []byte) {
		_, err := buckets.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String(document[0]), Body: bytes.NewReader(content)})
		require.NoError(t, err)
	}
	original, others := get(document[0]), get(document[1])
	for _, at := range []int{0, 5, 60, 130, len(original) / 2, len(original) - 1} {
		b := bytes.Clone(original)
		b[at] ^= 1
		put(b)
		broken(path)
	}
	put(others) // another of the owner's own documents
	broken(path)
	_, err := buckets.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String(document[0])})
	require.NoError(t, err)
	broken(path)
	put(original)
	require.Equal(t, http.StatusOK, sc.owner.Do(t, http.MethodGet, path, nil).Status)

	entries := sc.blocks(t, sc.owner.ID)
	item, others := intake.RecordItem(made[0].ID), entries[intake.RecordItem(made[1].ID)]
	sc.overwrite(t, sc.owner.ID, item, others)
	broken(path)
	sc.overwrite(t, sc.owner.ID, item, entries[item])
	require.Equal(t, http.StatusOK, sc.owner.Do(t, http.MethodGet, path, nil).Status)
	sc.raised(t)
}

// TestSwappedPublicKey: whoever can write the table of keys cannot make ingest
// seal to a key of his own.
func TestSwappedPublicKey(t *testing.T) {
	sc := newScene(t)
	ben := sc.s.Newcomer(t)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&own.PublicKey)
	require.NoError(t, err)
	id := sc.dataKeyID(t, sc.owner.ID)
	was, err := sc.OwnerKey(t.Context(), sc.owner.ID, id)
	require.NoError(t, err)
	others, err := sc.OwnerKey(t.Context(), ben.ID, sc.dataKeyID(t, ben.ID))
	require.NoError(t, err)

	self := was
	self.Statement.Public = public
	digest := sha256.Sum256(self.Statement.Bytes())
	self.Signature, err = ecdsa.SignASN1(rand.Reader, own, digest[:])
	require.NoError(t, err)
	swapped, unsigned, moved, older, deployed := was, was, was, was, was
	swapped.Statement.Public = public
	unsigned.Statement.Public, unsigned.Signature = public, []byte{}
	moved.Statement.Public, moved.Signature, moved.Wrapped = others.Statement.Public, others.Signature, others.Wrapped
	older.Statement.At = older.Statement.At.Add(-time.Second)
	deployed.Statement.Deployment = "another"

	before := sc.blocks(t, sc.owner.ID)
	body := heartRate("2026-05-06T10:00:00Z", another)
	for name, key := range map[string]keyring.Enrolled{
		"the signature kept": swapped, "a signature of one's own": self, "no signature": unsigned,
		"another owner's key with its signature": moved, "another time": older, "another deployment": deployed,
	} {
		t.Run(name, func(t *testing.T) {
			sc.putKey(t, sc.owner.ID, id, key)
			for resource, send := range map[string][2]string{"readings": {body, "application/json"}, "recordings": {recording("2026-05-06T10:00:00Z", "48.1"), tcxType}} {
				answer := sc.owner.Do(t, http.MethodPost, "/users/me/"+resource, []byte(send[0]), "Content-Type", send[1])
				request := isProblem(t, fault.Internal, answer)
				sc.alarms[request] = event{Function: "ingest", Action: resource + ".write", Caller: sc.owner.ID, Client: sc.s.Clients["app"].ID, Owner: sc.owner.ID,
					Outcome: "alarm", Kind: "stored-key-altered"}
				require.Equal(t, before, sc.blocks(t, sc.owner.ID))
			}
		})
	}
	sc.putKey(t, sc.owner.ID, id, was)
	// The batch that failed is not lost: sent again, it is stored.
	answer := sc.owner.Do(t, http.MethodPost, "/users/me/readings", []byte(body), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, answer.Status)
	require.Contains(t, string(day(t, sc.owner, "2026-05-06").Body), `"value":`+another)
	sc.raised(t)
}

// putKey writes an owner's key pair into the table of keys.
func (sc *scene) putKey(t *testing.T, owner, id string, key keyring.Enrolled) {
	t.Helper()
	bin := func(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	_, err := sc.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(sc.Keys), Item: map[string]types.AttributeValue{
		"owner": text(owner), "key": text(id), "deployment": text(key.Statement.Deployment),
		"public": bin(key.Statement.Public), "signature": bin(key.Signature), "wrapped": bin(key.Wrapped),
		"signed_at": &types.AttributeValueMemberN{Value: fmt.Sprint(key.Statement.At.Unix())}}})
	require.NoError(t, err)
}

// TestForgedBlock: with the owner's public key, which is no secret, and the right
// to write the table one makes a block; without the writer key it does not open.
func TestForgedBlock(t *testing.T) {
	sc := newScene(t)
	key, keyID := sc.dataKey(t, sc.owner.ID)
	header, err := vault.Inspect(sc.sealed)
	require.NoError(t, err)
	good := sc.opener(t, sc.owner.ID, header)
	packed, err := good.Open(sc.sealed, intake.BlockPlace(deployment, sc.owner.ID, today, sc.id()))
	require.NoError(t, err)
	right, err := sc.Writer(t.Context(), header.WriterKeyID)
	require.NoError(t, err)
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	wrong, err := vault.NewWriterKey(header.WriterKeyID, secret)
	require.NoError(t, err)
	unknown, err := vault.NewWriterKey("2001-01", secret)
	require.NoError(t, err)
	zero, err := vault.NewWriterKey(header.WriterKeyID, make([]byte, 32))
	require.NoError(t, err)

	const forgedID = "bbbbbbbbbbbbbbbbbbbbbbbbba"
	forge := func(writer vault.WriterKey) {
		t.Helper()
		sealer, err := vault.NewSealer(key, writer)
		require.NoError(t, err)
		sealed, err := sealer.Seal(intake.BlockPlace(deployment, sc.owner.ID, "2026-05-06", forgedID), packed)
		require.NoError(t, err)
		sc.overwrite(t, sc.owner.ID, intake.BlockItem("2026-05-06", forgedID), sealed)
	}
	// The control: it is the writer key, and nothing else, that is missing.
	forge(right)
	require.Equal(t, http.StatusOK, day(t, sc.owner, "2026-05-06").Status)
	for name, writer := range map[string]vault.WriterKey{"a wrong writer key": wrong, "a writer key of no month": unknown, "a writer key of zeros": zero} {
		t.Run(name, func(t *testing.T) {
			forge(writer)
			sc.refused(t, sc.owner, "2026-05-06", today)
		})
	}
	t.Run("a key pair of one's own under the owner's key id", func(t *testing.T) {
		own, err := ecdh.P256().GenerateKey(rand.Reader)
		require.NoError(t, err)
		mine := bytes.Replace(sc.sealed, sc.sealed[3+len(keyID)+1+len(header.WriterKeyID):][:65], own.PublicKey().Bytes(), 1)
		sc.overwrite(t, sc.owner.ID, intake.BlockItem("2026-05-06", forgedID), mine)
		sc.refused(t, sc.owner, "2026-05-06", today)
	})
	sc.remove(t, sc.owner.ID, intake.BlockItem("2026-05-06", forgedID))
	sc.raised(t)
}
