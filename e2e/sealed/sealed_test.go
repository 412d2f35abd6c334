// Package sealed sends uploads that clients encrypt for the service to the deployed
// stack: by go-jose and by Python's joserfc, well and wrongly.
package sealed

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/sealedupload/sealeduploadtest"
)

const (
	point = `{"header":{"uuid":"3c1f8f0e-6f5b-4a55-9f0e-2f6f7a1f4f10","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},"source_creation_date_time":"2026-05-04T07:25:00+02:00","modality":"sensed"},"body":{"heart_rate":{"value":71,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T07:25:00+02:00"}}}`
	run   = `<?xml version="1.0" encoding="UTF-8"?>
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities><Activity Sport="Running"><Id>2026-05-04T05:25:00Z</Id>
<Lap StartTime="2026-05-04T05:25:00Z"><TotalTimeSeconds>1</TotalTimeSeconds><DistanceMeters>1</DistanceMeters><Calories>1</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod>
<Track><Trackpoint><Time>2026-05-04T05:25:00Z</Time><HeartRateBpm><Value>71</Value></HeartRateBpm></Trackpoint></Track></Lap></Activity></Activities></TrainingCenterDatabase>`
	tcx  = "application/vnd.garmin.tcx+xml"
	jwes = "application/jose"
)

// published is the key set as anybody gets it, and its key for uploads.
func published(t *testing.T, s *stack.Stack) ([]byte, jose.JSONWebKey) {
	t.Helper()
	nobody := &http.Client{}
	response, err := nobody.Get(s.API + "/.well-known/jwks.json")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, 200, response.StatusCode)
	require.Equal(t, "public, max-age=3600", response.Header.Get("Cache-Control"))
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	require.Equal(t, "max-age=31536000", response.Header.Get("Strict-Transport-Security"))
	var text bytes.Buffer
	_, err = text.ReadFrom(response.Body)
	require.NoError(t, err)
	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal(text.Bytes(), &set))
	for _, key := range set.Keys {
		require.True(t, key.IsPublic())
		if key.Use == "enc" {
			require.Equal(t, "RSA-OAEP-256", key.Algorithm)
			return text.Bytes(), key
		}
	}
	t.Fatal("no key for uploads is published")
	return nil, jose.JSONWebKey{}
}

func TestTheKeyIsKMSsOwn(t *testing.T) {
	s := stack.Open(t)
	_, key := published(t, s)
	out, err := kms.NewFromConfig(s.AWS()).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: aws.String(s.Output(t, "UploadKey"))})
	require.NoError(t, err)
	public, err := x509.ParsePKIXPublicKey(out.PublicKey)
	require.NoError(t, err)
	require.Equal(t, public, key.Key)
}

// client is somebody who sends sealed uploads.
type client struct {
	*stack.Person
	key    jose.JSONWebKey
	client string
}

func newcomer(t *testing.T, s *stack.Stack) client {
	_, key := published(t, s)
	return client{s.Newcomer(t), key, s.Clients["app"].ID}
}

func (c client) header(route, mediaType string) map[string]any {
	return sealeduploadtest.Header(c.key.Key.(*rsa.PublicKey), "fitvault/"+route, c.ID, c.client, mediaType, time.Now())
}

// seal encrypts by go-jose.
func (c client) seal(t *testing.T, header map[string]any, body string) []byte {
	t.Helper()
	options := &jose.EncrypterOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, value := range header {
		if name != "alg" && name != "enc" && name != "kid" {
			options.ExtraHeaders[jose.HeaderKey(name)] = value
		}
	}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: c.key.Key, KeyID: header["kid"].(string)}, options)
	require.NoError(t, err)
	sealed, err := encrypter.Encrypt([]byte(body))
	require.NoError(t, err)
	compact, err := sealed.CompactSerialize()
	require.NoError(t, err)
	return []byte(compact)
}

func (c client) post(t *testing.T, route string, body []byte, headers ...string) stack.Answer {
	t.Helper()
	return c.Do(t, http.MethodPost, "/users/me/"+route, body, headers...)
}

// demand sets what the owner takes only sealed.
func demand(t *testing.T, s *stack.Stack, owner string, names ...string) {
	t.Helper()
	_, err := dynamodb.NewFromConfig(s.AWS()).UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName:        aws.String(s.Output(t, "AccountsTable")),
		Key:              map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "user#" + owner}, "document": &types.AttributeValueMemberS{Value: access.OwnerDocument}},
		UpdateExpression: aws.String("SET settings = :s"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":s": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{
			"sealed": &types.AttributeValueMemberSS{Value: names}}}},
	})
	require.NoError(t, err)
}

// TestUploads: sealed by two implementations, read back as they were; and demanded.
func TestUploads(t *testing.T) {
	s := stack.Open(t)
	c := newcomer(t, s)
	demand(t, s, c.ID, "omh:heart-rate", "fitvault:recording")

	t.Run("in the clear they are refused", func(t *testing.T) {
		for route, body := range map[string]string{"readings": point, "recordings": run} {
			mediaType := map[string]string{"readings": "application/json", "recordings": tcx}[route]
			a := c.post(t, route, []byte(body), "Content-Type", mediaType, "X-Sealed", "true")
			a.RequireProblem(t, fault.Invalid)
			require.Contains(t, string(a.Body), `"rule":"sealed-required"`)
		}
	})
	a := c.post(t, "readings/sealed", c.seal(t, c.header("readings", "application/json"), point), "Content-Type", jwes)
	require.Equal(t, 200, a.Status, string(a.Body))
	require.JSONEq(t, `{"results": [{"index": 0, "status": "accepted", "id": "3c1f8f0e-6f5b-4a55-9f0e-2f6f7a1f4f10"}]}`, string(a.Body))
	again := c.post(t, "readings/sealed", joserfc(t, c, c.header("readings", "application/json"), point), "Content-Type", jwes)
	require.Equal(t, string(a.Body), string(again.Body), "by joserfc: a retry")
	read := c.Do(t, http.MethodGet, "/users/me/readings", nil)
	var page struct{ Items []json.RawMessage }
	read.JSON(t, &page)
	require.Len(t, page.Items, 1)
	require.JSONEq(t, point, string(page.Items[0]))

	for _, compact := range [][]byte{joserfc(t, c, c.header("recordings", tcx), run), c.seal(t, c.header("recordings", tcx), run)} {
		a := c.post(t, "recordings/sealed", compact, "Content-Type", jwes)
		require.Equal(t, 201, a.Status, string(a.Body))
		var created struct{ ID string }
		a.JSON(t, &created)
		original := c.Do(t, http.MethodGet, "/users/me/recordings/"+created.ID, nil, "Accept", tcx)
		require.Equal(t, run, string(original.Body))
	}
}

// joserfc encrypts by Python's joserfc, as the launcher does for recorded events.
func joserfc(t *testing.T, c client, header map[string]any, body string) []byte {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	key, err := c.key.MarshalJSON()
	require.NoError(t, err)
	input, err := json.Marshal(map[string]any{"key": json.RawMessage(key), "header": header, "body": body})
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), filepath.Join(root, ".local/venvs/test/bin/python"), "-c",
		"import json, sys; from launcher import sealing; i = json.load(sys.stdin); print(sealing.encrypt(i['key'], i['header'], i['body'].encode()), end='')")
	command.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(root, "localstack"))
	command.Stdin = bytes.NewReader(input)
	compact, err := command.Output()
	require.NoError(t, err)
	return compact
}

// TestOneAnswer: whatever is wrong with an upload is answered by the same problem,
// and nothing is stored.
func TestOneAnswer(t *testing.T) {
	s := stack.Open(t)
	c, other := newcomer(t, s), newcomer(t, s)
	good := c.seal(t, c.header("readings", "application/json"), point)
	form := func(a stack.Answer) string {
		var problem map[string]any
		a.JSON(t, &problem)
		delete(problem, "instance")
		text, err := json.Marshal(problem)
		require.NoError(t, err)
		return a.Header.Get("Content-Type") + a.Header.Get("Cache-Control") + string(text)
	}
	want := form(c.post(t, "readings/sealed", []byte("x"), "Content-Type", jwes))
	require.Contains(t, want, `"status":400`)
	refused := func(name string, a stack.Answer) {
		t.Helper()
		require.Equal(t, want, form(a), name)
	}

	refused("another owner's", other.post(t, "readings/sealed", good, "Content-Type", jwes))
	refused("another client's", client{c.By(t, "partner"), c.key, ""}.post(t, "readings/sealed", good, "Content-Type", jwes))
	refused("another route's", c.post(t, "recordings/sealed", good, "Content-Type", jwes))
	for name, value := range c.header("readings", "application/json") {
		for change, altered := range map[string]any{"changed": "x", "null": nil} {
			h := c.header("readings", "application/json")
			h[name] = altered
			refused(name+" "+change, c.post(t, "readings/sealed", c.own(h), "Content-Type", jwes))
		}
		h := c.header("readings", "application/json")
		delete(h, name)
		refused(name+" missing", c.post(t, "readings/sealed", c.own(h), "Content-Type", jwes))
		text, err := json.Marshal(c.header("readings", "application/json"))
		require.NoError(t, err)
		member, err := json.Marshal(map[string]any{name: value})
		require.NoError(t, err)
		twice := string(text[:len(text)-1]) + "," + string(member[1:])
		refused(name+" twice", c.post(t, "readings/sealed", []byte(sealeduploadtest.SealText(c.key.Key.(*rsa.PublicKey), twice, []byte(point))), "Content-Type", jwes))
	}
	for name, value := range map[string]any{"zip": "DEF", "crit": []string{"exp"}, "jku": "https://example.org", "jwk": map[string]any{}, "typ": "JWE",
		"alg": "RSA-OAEP", "enc": "A128GCM", "exp": time.Now().Unix(), "aud": "fitvault/recordings", "sub": other.ID, "client_id": s.Clients["partner"].ID} {
		h := c.header("readings", "application/json")
		h[name] = value
		refused(name, c.post(t, "readings/sealed", c.own(h), "Content-Type", jwes))
	}
	parts := strings.Split(string(good), ".")
	refused("an oversize key", c.post(t, "readings/sealed", []byte(parts[0]+"."+strings.Repeat("A", 4096)+"."+strings.Join(parts[2:], ".")), "Content-Type", jwes))
	// Each byte is altered in shared/sealedupload; here one in each dozen, of each part.
	for i := 0; i < len(good); i += 12 {
		altered := bytes.Clone(good)
		if altered[i]++; altered[i] == 'z'+1 {
			altered[i] = 'A'
		}
		refused("an altered byte", c.post(t, "readings/sealed", altered, "Content-Type", jwes))
	}
	wrapped := base64.RawURLEncoding.EncodeToString(make([]byte, 384))
	refused("zeros as a key", c.post(t, "readings/sealed", []byte(parts[0]+"."+wrapped+"."+strings.Join(parts[2:], ".")), "Content-Type", jwes))

	for _, p := range []client{c, other} {
		a := p.Do(t, http.MethodGet, "/users/me/readings", nil)
		require.Contains(t, string(a.Body), `"items":[]`)
	}
	a := c.post(t, "readings/sealed", good, "Content-Type", jwes)
	require.Equal(t, 200, a.Status, "the good one still is: %s", a.Body)
	c.post(t, "readings/sealed", []byte(point), "Content-Type", "application/json").RequireProblem(t, fault.UnsupportedType)
}

// own encrypts by the tests' own client, which says anything.
func (c client) own(header map[string]any) []byte {
	return []byte(sealeduploadtest.Seal(c.key.Key.(*rsa.PublicKey), header, []byte(point)))
}
