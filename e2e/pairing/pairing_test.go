// Package pairing pairs trackers in software through the deployed API, and sends
// what they have signed.
package pairing

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/access"
	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/tracker"
)

// deployment is the name of the local one.
const deployment = "fitvault"

type world struct {
	*stack.Stack
	tables dynamo.Tables
	root   *x509.Certificate
}

func open(t *testing.T) world {
	s := stack.Open(t)
	w := world{Stack: s, tables: dynamo.Tables{Client: dynamodb.NewFromConfig(s.AWS()), Accounts: s.Output(t, "AccountsTable"), Requests: s.Output(t, "RequestsTable")}}
	text, err := os.ReadFile(s.PairingRoot)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	w.root, err = x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return w
}

// made is a tracker of the local root, in the registry as its maker puts it there.
func (w world) made(t *testing.T) *tracker.Tracker {
	t.Helper()
	var serial [12]byte
	_, _ = rand.Read(serial[:])
	tr, err := tracker.New("acme-"+hex.EncodeToString(serial[:]), deployment, w.root, time.Now, rand.Reader)
	require.NoError(t, err)
	label, err := pairing.ParseLabel(tr.Label())
	require.NoError(t, err)
	key, err := pairing.ParseKey(tr.PublicKey())
	require.NoError(t, err)
	model, err := pairing.ParseModel("band-2")
	require.NoError(t, err)
	made, err := w.tables.Register(t.Context(), pairing.Device{ID: label.Device, Model: model, Key: key, CodeHash: label.Code.Hash(), State: pairing.New})
	require.NoError(t, err)
	require.True(t, made)
	return tr
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func bytes(t *testing.T, s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	require.NoError(t, err)
	return b
}

func asked(t *testing.T, tr *tracker.Tracker) []byte {
	p, err := tr.Press()
	require.NoError(t, err)
	in := map[string]any{"device": p.ID, "nonce": b64(p.Nonce), "code": p.Code}
	if i := p.Introduction; i != nil {
		in["reset"] = map[string]string{"public_key": b64(i.Key), "code_hash": b64(i.CodeHash), "signature": b64(i.Signature)}
	}
	text, err := json.Marshal(in)
	require.NoError(t, err)
	return text
}

func post(t *testing.T, p *stack.Person, path string, body []byte, headers ...string) stack.Answer {
	return p.Do(t, http.MethodPost, path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

type begun struct{ Pairing, Message, Signature, Certificate string }

func begin(t *testing.T, p *stack.Person, tr *tracker.Tracker) (b begun) {
	t.Helper()
	a := post(t, p, "/pairings", asked(t, tr))
	require.Equal(t, 201, a.Status, string(a.Body))
	a.JSON(t, &b)
	return b
}

func answer(t *testing.T, tr *tracker.Tracker, b begun) []byte {
	t.Helper()
	signature, err := tr.Answer(bytes(t, b.Message), bytes(t, b.Signature), bytes(t, b.Certificate))
	require.NoError(t, err)
	return []byte(`{"signature": "` + b64(signature) + `"}`)
}

func pair(t *testing.T, p *stack.Person, tr *tracker.Tracker) begun {
	t.Helper()
	b := begin(t, p, tr)
	a := post(t, p, "/pairings/"+b.Pairing+"/confirm", answer(t, tr, b))
	require.Equal(t, 200, a.Status, string(a.Body))
	require.NoError(t, tr.Done(b.Pairing))
	return b
}

func batch(id string) []byte {
	return []byte(`[{"header":{"uuid":"` + id + `","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},` +
		`"source_creation_date_time":"2026-05-04T07:25:00+02:00","modality":"sensed"},` +
		`"body":{"heart_rate":{"value":71,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T07:25:00+02:00"}}}]`)
}

func signed(t *testing.T, tr *tracker.Tracker, body []byte) []string {
	text, err := tr.Sign(body)
	require.NoError(t, err)
	return []string{"Tracker-Signature", text}
}

// uuid is a new one, as a batch's.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], "4" + h[13:16], "a" + h[17:20], h[20:]}, "-")
}

// TestALife: paired, used, lost, found, unpaired, reset, and somebody else's.
func TestALife(t *testing.T) {
	w := open(t)
	ada, ben := w.Newcomer(t), w.Newcomer(t)
	tr := w.made(t)
	pair(t, ada, tr)

	first := batch(uuid())
	s := signed(t, tr, first)
	a := post(t, ada, "/users/me/readings", first, s...)
	require.Equal(t, 200, a.Status, string(a.Body))
	require.Equal(t, string(a.Body), string(post(t, ada, "/users/me/readings", first, s...).Body), "a retry")
	post(t, ada, "/users/me/readings", first, append(s, "Idempotency-Key", "another")...).RequireProblem(t, fault.SignatureRefused)
	post(t, ben, "/users/me/readings", first, s...).RequireProblem(t, fault.SignatureRefused)
	post(t, ada, "/users/me/readings", batch(uuid()), s...).RequireProblem(t, fault.SignatureRefused)

	second := batch(uuid())
	lower, err := tr.SignWith(map[string]any{"alg": "ES256", "kid": tr.ID, "pairing": tr.Pairing(), "counter": 1}, second)
	require.NoError(t, err)
	post(t, ada, "/users/me/readings", second, "Tracker-Signature", lower).RequireProblem(t, fault.SignatureRefused)
	require.Equal(t, 200, post(t, ada, "/users/me/readings", second, signed(t, tr, second)...).Status)

	device := "/users/me/devices/" + tr.ID
	patch := func(body string) stack.Answer {
		return ada.Do(t, http.MethodPatch, device, []byte(body), "Content-Type", "application/json")
	}
	require.Equal(t, 200, patch(`{"name": "left wrist", "state": "lost"}`).Status)
	third := batch(uuid())
	s = signed(t, tr, third)
	post(t, ada, "/users/me/readings", third, s...).RequireProblem(t, fault.SignatureRefused)
	require.Equal(t, 200, patch(`{"state": "active"}`).Status)
	require.Equal(t, 200, post(t, ada, "/users/me/readings", third, s...).Status)

	t.Run("an account that takes signed readings only", func(t *testing.T) {
		user, err := access.ParseUserID(ada.ID)
		require.NoError(t, err)
		_, err = w.tables.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String(w.tables.Accounts),
			Key:              map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: access.OwnerKey(user)}, "document": &types.AttributeValueMemberS{Value: "owner"}},
			UpdateExpression: aws.String("SET settings = :s"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":s": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{
				"signed": &types.AttributeValueMemberBOOL{Value: true}}}}})
		require.NoError(t, err)
		fourth := batch(uuid())
		post(t, ada, "/users/me/readings", fourth).RequireProblem(t, fault.SignatureRequired)
		require.Equal(t, 200, post(t, ada, "/users/me/readings", fourth, signed(t, tr, fourth)...).Status)
	})

	// Reset, the seller has not let it go: it is nobody else's.
	require.NoError(t, tr.Reset())
	post(t, ben, "/pairings", asked(t, tr)).RequireProblem(t, fault.NotFound)
	require.Equal(t, 204, ada.Do(t, http.MethodDelete, device, nil).Status)
	post(t, ada, "/users/me/readings", third, s...).RequireProblem(t, fault.SignatureRefused)
	pair(t, ben, tr)
	var list struct {
		Items []struct{ ID, Name, State string }
	}
	ada.Do(t, http.MethodGet, "/users/me/devices", nil).JSON(t, &list)
	require.Empty(t, list.Items)
	ben.Do(t, http.MethodGet, "/users/me/devices", nil).JSON(t, &list)
	require.Len(t, list.Items, 1)
	require.Equal(t, tr.ID, list.Items[0].ID)
	ada.Do(t, http.MethodGet, "/users/"+ben.ID+"/devices", nil).RequireProblem(t, fault.NotFound)
}

// TestManyPhonesAtOnce: all have the code, the tracker answers all, one has it.
func TestManyPhonesAtOnce(t *testing.T) {
	w := open(t)
	tr := w.made(t)
	const phones = 6
	people := make([]*stack.Person, phones)
	challenges, answers := make([]begun, phones), make([][]byte, phones)
	for i := range phones {
		people[i] = w.Newcomer(t)
		challenges[i] = begin(t, people[i], tr)
		answers[i] = answer(t, tr, challenges[i])
	}
	status := make([]int, phones)
	var all sync.WaitGroup
	for i := range phones {
		all.Go(func() {
			a, err := people[i].Try(t, http.MethodPost, "/pairings/"+challenges[i].Pairing+"/confirm", answers[i], "Content-Type", "application/json")
			if err == nil {
				status[i] = a.Status
			}
		})
	}
	all.Wait()
	won := 0
	for _, s := range status {
		if s == 200 {
			won++
		} else {
			require.Equal(t, 404, s)
		}
	}
	require.Equal(t, 1, won)
	// A copy of its QR code is worth nothing any more.
	post(t, w.Newcomer(t), "/pairings", asked(t, tr)).RequireProblem(t, fault.NotFound)
}

func TestRefused(t *testing.T) {
	w := open(t)
	ada, ben := w.Newcomer(t), w.Newcomer(t)
	tr := w.made(t)
	b := begin(t, ada, tr)
	good := answer(t, tr, b)
	path := "/pairings/" + b.Pairing + "/confirm"
	t.Run("another account's pairing", func(t *testing.T) { post(t, ben, path, good).RequireProblem(t, fault.NotFound) })
	t.Run("an altered answer", func(t *testing.T) {
		signature := bytes(t, string(good[len(`{"signature": "`):len(good)-len(`"}`)]))
		signature[len(signature)-1] ^= 1
		post(t, ada, path, []byte(`{"signature": "`+b64(signature)+`"}`)).RequireProblem(t, fault.NotFound)
	})
	t.Run("once more, when it is done", func(t *testing.T) {
		require.Equal(t, 200, post(t, ada, path, good).Status)
		post(t, ada, path, good).RequireProblem(t, fault.NotFound)
	})
	t.Run("the sixth try", func(t *testing.T) {
		other := w.made(t)
		wrong := []byte(strings.Replace(string(asked(t, other)), `"code":"`, `"code":"`+strings.Repeat("a", 26)+`","x":"`, 1))
		var in map[string]any
		require.NoError(t, json.Unmarshal(wrong, &in))
		delete(in, "x")
		wrong, err := json.Marshal(in)
		require.NoError(t, err)
		for range pairing.Tries {
			post(t, ada, "/pairings", wrong).RequireProblem(t, fault.NotFound)
		}
		post(t, ada, "/pairings", asked(t, other)).RequireProblem(t, fault.NotFound)
		require.Equal(t, 201, post(t, ben, "/pairings", asked(t, other)).Status, "whose tries they were not")
	})
	t.Run("an impostor of the service", func(t *testing.T) {
		other := w.made(t)
		b := begin(t, ben, other)
		impostor, err := tracker.New("acme-1", deployment, w.root, time.Now, rand.Reader)
		require.NoError(t, err)
		forged, err := impostor.SignWith(nil, bytes(t, b.Message))
		require.NoError(t, err)
		_, err = other.Answer(bytes(t, b.Message), []byte(forged), bytes(t, b.Certificate))
		require.ErrorIs(t, err, tracker.ErrSignature)
		_, err = other.Answer(bytes(t, b.Message), bytes(t, b.Signature), w.root.Raw)
		require.ErrorIs(t, err, tracker.ErrCertificate)
	})
}

// TestTrackersTellNothing: nobody learns of a tracker whose code he has not, whether
// there is one, is new or somebody's, is lost, or has been tried too often.
func TestTrackersTellNothing(t *testing.T) {
	w := open(t)
	ada := w.Newcomer(t)
	fresh, tried, paired, lost := w.made(t), w.made(t), w.made(t), w.made(t)
	none, err := tracker.New("acme-"+hex.EncodeToString([]byte(rand.Text())[:12]), deployment, w.root, time.Now, rand.Reader)
	require.NoError(t, err)
	pair(t, ada, paired)
	pair(t, ada, lost)
	require.Equal(t, 200, ada.Do(t, http.MethodPatch, "/users/me/devices/"+lost.ID, []byte(`{"state":"lost"}`), "Content-Type", "application/json").Status)
	wrong := func(tr *tracker.Tracker) []byte {
		var in map[string]any
		require.NoError(t, json.Unmarshal(asked(t, tr), &in))
		in["code"] = strings.Repeat("a", 26)
		text, err := json.Marshal(in)
		require.NoError(t, err)
		return text
	}
	newcomer := func() *stack.Person { return w.Newcomer(t) }
	tired := func() *stack.Person { // of both
		ben := w.Newcomer(t)
		for range pairing.Tries {
			post(t, ben, "/pairings", wrong(tried)).RequireProblem(t, fault.NotFound)
			post(t, ben, "/pairings", wrong(none)).RequireProblem(t, fault.NotFound)
		}
		return ben
	}
	requests := func(bodies map[string][]byte) map[string]func(*stack.Person) stack.Answer {
		all := map[string]func(*stack.Person) stack.Answer{}
		for name, body := range bodies {
			all[name] = func(p *stack.Person) stack.Answer { return post(t, p, "/pairings", body) }
		}
		return all
	}
	all := map[string][]byte{"none": asked(t, none), "wrong code": wrong(fresh), "somebody's": asked(t, paired), "lost": asked(t, lost)}
	t.Run("who has tries", func(t *testing.T) { stack.RequireAlike(t, true, newcomer, "none", requests(all)) })
	all["too often"] = asked(t, tried)
	t.Run("form", func(t *testing.T) { stack.RequireAlike(t, false, tired, "none", requests(all)) })
	// That he has no tries left takes longer to say. He knows how often he has tried; not whether there is one.
	t.Run("who has none left", func(t *testing.T) {
		stack.RequireAlike(t, true, tired, "none", requests(map[string][]byte{"none": asked(t, none), "there is one": asked(t, tried)}))
	})
}

// TestUnpairedAtOnce: what starts after the answer is refused, under 16 clients.
func TestUnpairedAtOnce(t *testing.T) {
	w := open(t)
	ada := w.Newcomer(t)
	tr := w.made(t)
	pair(t, ada, tr)
	const clients, each = 16, 4
	type sent struct {
		body []byte
		sign string
	}
	var all [clients * each]sent
	for i := range all {
		all[i].body = batch(uuid())
		all[i].sign = signed(t, tr, all[i].body)[1]
	}
	var unpaired sync.Mutex
	gone := time.Time{}
	late := 0
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			for i := range each {
				s := all[c*each+i]
				began := time.Now()
				a, err := ada.Try(t, http.MethodPost, "/users/me/readings", s.body, "Content-Type", "application/json", "Tracker-Signature", s.sign)
				unpaired.Lock()
				if err == nil && a.Status == 200 && !gone.IsZero() && began.After(gone) {
					late++
				}
				unpaired.Unlock()
			}
		})
	}
	a := ada.Do(t, http.MethodDelete, "/users/me/devices/"+tr.ID, nil)
	unpaired.Lock()
	gone = time.Now()
	unpaired.Unlock()
	require.Equal(t, 204, a.Status)
	wait.Wait()
	require.Equal(t, 0, late)
	body := batch(uuid())
	post(t, ada, "/users/me/readings", body, signed(t, tr, body)...).RequireProblem(t, fault.SignatureRefused)
}
