package sealedupload_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/sealedupload"
	"fitvault/shared/sealedupload/sealeduploadtest"
)

var (
	now     = time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	binding = sealedupload.Binding{Audience: sealedupload.Audience("fitvault", "readings"), Owner: "gaytemzugu3doobzmfrggzdfmy", Client: "7appclient",
		Types: []string{"application/json", "application/json+gzip"}}
	body = []byte(`[{"header": {}, "body": {"heart_rate": 71}}]`)
)

func opener(key sealedupload.Unwrapper, kid string) sealedupload.Opener {
	return sealedupload.Opener{KeyID: kid, Key: key, Now: func() time.Time { return now }, Rand: rand.Reader}
}

func header() map[string]any {
	return sealeduploadtest.Header(sealeduploadtest.Public(), binding.Audience, binding.Owner, binding.Client, "application/json", now)
}

func changed(name string, value any) map[string]any {
	h := header()
	h[name] = value
	return h
}

func without(name string) map[string]any {
	h := header()
	delete(h, name)
	return h
}

func text(t *testing.T, h map[string]any) string {
	b, err := json.Marshal(h)
	require.NoError(t, err)
	return string(b)
}

func seal(h map[string]any) string { return sealeduploadtest.Seal(sealeduploadtest.Public(), h, body) }

// refusal is the one answer.
var refusal = fault.New(fault.BadRequest, "sealed upload cannot be opened")

// refused requires the one answer, after a number of calls of the key.
func refused(t *testing.T, compact string, b sealedupload.Binding, calls int64) {
	t.Helper()
	key := &sealeduploadtest.Key{}
	opened, mediaType, err := opener(key, sealeduploadtest.KeyID()).Open(t.Context(), []byte(compact), b)
	require.Equal(t, refusal, err)
	require.Nil(t, opened)
	require.Empty(t, mediaType)
	require.Equal(t, calls, key.Calls.Load())
}

func TestContract(t *testing.T) {
	sealeduploadtest.UnwrapperContract(t, &sealeduploadtest.Key{}, sealeduploadtest.Public())
}

func TestOpen(t *testing.T) {
	for name, h := range map[string]map[string]any{
		"as a client makes it": header(),
		"compressed":           changed("cty", "application/json+gzip"),
		"of just now, by a clock that is a minute ahead": changed("iat", now.Add(sealedupload.Skew).Unix()),
		"the longest":     changed("exp", now.Add(sealedupload.Lifetime).Unix()),
		"the last second": changed("exp", now.Add(time.Second).Unix()),
	} {
		t.Run(name, func(t *testing.T) {
			key := &sealeduploadtest.Key{}
			opened, mediaType, err := opener(key, sealeduploadtest.KeyID()).Open(t.Context(), []byte(seal(h)), binding)
			require.NoError(t, err)
			require.Equal(t, body, opened)
			require.Equal(t, h["cty"], mediaType)
			require.EqualValues(t, 1, key.Calls.Load())
		})
	}
	t.Run("nothing, and a lot", func(t *testing.T) {
		for _, n := range []int{0, 1, 1 << 20} {
			want := bytes.Repeat([]byte("x"), n)
			compact := sealeduploadtest.Seal(sealeduploadtest.Public(), header(), want)
			require.LessOrEqual(t, len(compact), sealedupload.Size(n))
			opened, _, err := opener(&sealeduploadtest.Key{}, sealeduploadtest.KeyID()).Open(t.Context(), []byte(compact), binding)
			require.NoError(t, err)
			require.Len(t, opened, n)
		}
	})
}

// TestAnotherImplementation: what go-jose makes opens, and go-jose opens what the
// tests' own client makes.
func TestAnotherImplementation(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("go-jose chooses nonces by itself, which the FIPS module does not allow")
	}
	options := &jose.EncrypterOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	for name, value := range header() {
		if name != "alg" && name != "enc" && name != "kid" {
			options.ExtraHeaders[jose.HeaderKey(name)] = value
		}
	}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: sealeduploadtest.Public(), KeyID: sealeduploadtest.KeyID()}, options)
	require.NoError(t, err)
	sealed, err := encrypter.Encrypt(body)
	require.NoError(t, err)
	compact, err := sealed.CompactSerialize()
	require.NoError(t, err)
	opened, _, err := opener(&sealeduploadtest.Key{}, sealeduploadtest.KeyID()).Open(t.Context(), []byte(compact), binding)
	require.NoError(t, err)
	require.Equal(t, body, opened)

	private, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	parsed, err := jose.ParseEncryptedCompact(sealeduploadtest.Seal(&private.PublicKey, header(), body), []jose.KeyAlgorithm{jose.RSA_OAEP_256}, []jose.ContentEncryption{jose.A256GCM})
	require.NoError(t, err)
	theirs, err := parsed.Decrypt(private)
	require.NoError(t, err)
	require.Equal(t, body, theirs)
}

// TestRefusedBeforeTheKey: what the header says wrongly never reaches KMS.
func TestRefusedBeforeTheKey(t *testing.T) {
	headers := map[string]string{}
	add := func(name string, h map[string]any) { headers[name] = text(t, h) }
	whole := text(t, header())
	for name, value := range header() {
		add("without "+name, without(name))
		add("null as "+name, changed(name, nil))
		add("a list as "+name, changed(name, []any{value}))
		add("an object as "+name, changed(name, map[string]any{"a": value}))
		if s, ok := value.(string); ok {
			add("another "+name, changed(name, s+"x"))
			add("nothing as "+name, changed(name, ""))
			add("another case of "+name, changed(name, strings.ToUpper(s)+"X"))
			add("a number as "+name, changed(name, 1))
			add("NUL behind "+name, changed(name, s+"\x00"))
		} else {
			add("a text as "+name, changed(name, fmt.Sprint(value)))
			add("a fraction as "+name, changed(name, float64(now.Unix())+0.5))
			headers["an exponent as "+name] = strings.Replace(text(t, without(name)), "{", `{"`+name+`":17e8,`, 1)
			headers["too large a number as "+name] = strings.Replace(text(t, without(name)), "{", `{"`+name+`":9223372036854775808,`, 1)
		}
		one := text(t, map[string]any{name: value})
		headers[name+" twice"] = strings.TrimSuffix(whole, "}") + "," + one[1:]
		headers[name+" twice, otherwise"] = strings.TrimSuffix(whole, "}") + `,"` + name + `":"x"}`
		headers[name+" twice, once escaped"] = strings.TrimSuffix(whole, "}") + `,"\u00` + fmt.Sprintf("%x", name[0]) + one[3:]
		renamed := without(name)
		renamed[strings.ToUpper(name[:1])+name[1:]] = value
		add(name+" with a capital", renamed)
	}
	for name, value := range map[string]any{
		"zip": "DEF", "crit": []string{"exp"}, "jku": "https://example.org/keys", "jwk": map[string]any{"kty": "RSA"}, "x5u": "x", "x5c": []string{}, "x5t": "x",
		"epk": map[string]any{}, "apu": "x", "p2c": 1, "typ": "JWE", "b64": false, "iss": "x", "nbf": 0, "": "", "Alg": "RSA-OAEP-256",
	} {
		add("a member "+name, changed(name, value))
	}
	for _, alg := range []string{"RSA-OAEP", "RSA1_5", "RSA-OAEP-384", "RSA-OAEP-512", "dir", "A256KW", "A256GCMKW", "ECDH-ES", "PBES2-HS256+A128KW", "none", "rsa-oaep-256"} {
		add("algorithm "+alg, changed("alg", alg))
	}
	for _, enc := range []string{"A128GCM", "A192GCM", "A256CBC-HS512", "A128CBC-HS256", "C20P", "none", "a256gcm"} {
		add("encryption "+enc, changed("enc", enc))
	}
	for _, cty := range []string{"JSON", "json", "application/xml", "application/json; charset=utf-8", "application/gpx+xml", "application/jose", "JWE"} {
		add("content "+cty, changed("cty", cty))
	}
	add("of another owner", changed("sub", "aaaaaaaaaaaaaaaaaaaaaaaaaa"))
	add("of me", changed("sub", "me"))
	add("of another client", changed("client_id", "8partner"))
	add("for another route", changed("aud", sealedupload.Audience("fitvault", "recordings")))
	add("for another deployment", changed("aud", sealedupload.Audience("other", "readings")))
	add("for two", changed("aud", []string{binding.Audience, "x"}))
	add("to another key", changed("kid", "x"))
	add("expired", changed("exp", now.Unix()))
	add("expired long ago", changed("exp", now.Add(-time.Hour).Unix()))
	add("before it was made", changed("exp", header()["iat"]))
	add("too long", changed("exp", now.Add(sealedupload.Lifetime+time.Second).Unix()))
	add("for ever", changed("exp", int64(math.MaxInt64)))
	add("of the future", changed("iat", now.Add(sealedupload.Skew+time.Second).Unix()))
	add("of 1970", changed("iat", 0))
	add("before 1970", changed("iat", -1))
	add("at the other end of time", changed("iat", int64(math.MinInt64)))
	headers["nothing"] = ""
	headers["null"] = "null"
	headers["a list"] = "[]"
	headers["a list of it"] = "[" + whole + "]"
	headers["empty"] = "{}"
	headers["something behind it"] = whole + "{}"
	headers["cut"] = whole[:len(whole)-1]
	headers["not UTF-8"] = strings.Replace(whole, "7appclient", "7appclient\xff", 1)
	headers["too long a header"] = strings.TrimSuffix(whole, "}") + strings.Repeat(" ", 800) + "}"
	headers["a byte order mark"] = "\ufeff" + whole
	for name, h := range headers {
		t.Run(name, func(t *testing.T) {
			refused(t, sealeduploadtest.SealText(sealeduploadtest.Public(), h, body), binding, 0)
		})
	}
}

// TestRefusedByForm: parts of the wrong number, length or spelling.
func TestRefusedByForm(t *testing.T) {
	good := seal(header())
	parts := strings.Split(good, ".")
	with := func(i int, part string) string {
		changed := append([]string{}, parts...)
		changed[i] = part
		return strings.Join(changed, ".")
	}
	for name, compact := range map[string]string{
		"nothing":             "",
		"four parts":          strings.Join(parts[:4], "."),
		"six parts":           good + ".",
		"a dot before":        "." + good,
		"only dots":           "....",
		"a space behind":      good + " ",
		"a line end behind":   good + "\n",
		"a JWS":               strings.Join(parts[:3], "."),
		"JSON":                `{"protected":"` + parts[0] + `"}`,
		"no key":              with(1, ""),
		"a key too short":     with(1, parts[1][:508]),
		"a key too long":      with(1, parts[1]+"AAAA"),
		"a very long key":     with(1, strings.Repeat("A", 1<<20)),
		"a key with padding":  with(1, parts[1][:511]+"="),
		"a nonce too short":   with(2, parts[2][:12]),
		"a nonce too long":    with(2, parts[2]+"AAAA"),
		"no nonce":            with(2, ""),
		"a tag too short":     with(4, parts[4][:20]),
		"a tag with padding":  with(4, parts[4]+"=="),
		"no tag":              with(4, ""),
		"standard base64":     with(2, "+/+/+/+/+/+/+/+/"),
		"a line end inside":   with(3, parts[3][:8]+"\n"+parts[3][8:]),
		"line ends as a text": with(3, "\r\n\r\n"),
		"spare bits":          with(4, parts[4][:21]+string("BCDEFGHIJKLMNOPQRSTUVWXYZ"[0])),
		"a very long header":  with(0, strings.Repeat("A", 1<<20)),
		"not ASCII":           with(3, "é"+parts[3]),
	} {
		t.Run(name, func(t *testing.T) { refused(t, compact, binding, 0) })
	}
}

// TestAnotherRequest: a good upload, in a request that is not its own.
func TestAnotherRequest(t *testing.T) {
	for name, change := range map[string]func(b *sealedupload.Binding){
		"another owner":  func(b *sealedupload.Binding) { b.Owner = "aaaaaaaaaaaaaaaaaaaaaaaaaa" },
		"another client": func(b *sealedupload.Binding) { b.Client = "8partner" },
		"another route":  func(b *sealedupload.Binding) { b.Audience = sealedupload.Audience("fitvault", "recordings") },
		"other types":    func(b *sealedupload.Binding) { b.Types = []string{"application/gpx+xml"} },
		"no types":       func(b *sealedupload.Binding) { b.Types = nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := binding
			change(&b)
			refused(t, seal(header()), b, 0)
		})
	}
	t.Run("a request that knows no owner, client or route admits no upload that names none", func(t *testing.T) {
		empty := maps.Clone(header())
		empty["sub"], empty["client_id"], empty["aud"] = "", "", ""
		refused(t, seal(empty), sealedupload.Binding{Types: binding.Types}, 0)
	})
}

// TestEveryByte: each byte of an upload altered, in each of its bits, is refused;
// what is in the header or of a wrong form before the key is called.
func TestEveryByte(t *testing.T) {
	good := seal(header())
	key := &sealeduploadtest.Key{}
	o := opener(key, sealeduploadtest.KeyID())
	for i := range len(good) {
		for bit := range 8 {
			if i > strings.IndexByte(good, '.') && bit > 1 && bit != i%8 {
				continue // RSA takes its time: the two that mostly keep to the alphabet, and one more
			}
			altered := []byte(good)
			altered[i] ^= 1 << bit
			opened, _, err := o.Open(t.Context(), altered, binding)
			require.Equal(t, refusal, err, "%d %d", i, bit)
			require.Nil(t, opened)
		}
	}
	require.Less(t, key.Calls.Load(), int64(3*len(good)))
	opened, _, err := o.Open(t.Context(), []byte(good), binding)
	require.NoError(t, err)
	require.Equal(t, body, opened)
}

// TestRefusedByTheKey: what only KMS can tell is told by the same answer.
func TestRefusedByTheKey(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	for name, wrapped := range map[string]func() (key, wrapped []byte){
		"wrapped to another key": func() ([]byte, []byte) { return wrap(t, &other.PublicKey, 32) },
		"a short content key":    func() ([]byte, []byte) { return wrap(t, sealeduploadtest.Public(), 16) },
		"a long content key":     func() ([]byte, []byte) { return wrap(t, sealeduploadtest.Public(), 64) },
		"zeros": func() ([]byte, []byte) {
			return make([]byte, 32), make([]byte, 384)
		},
		"another content key": func() ([]byte, []byte) {
			_, wrapped := wrap(t, sealeduploadtest.Public(), 32)
			return make([]byte, 32), wrapped
		},
	} {
		t.Run(name, func(t *testing.T) {
			key, w := wrapped()
			refused(t, sealeduploadtest.Assemble(key[:min(len(key), 32)], w, text(t, header()), body), binding, 1)
		})
	}
	t.Run("a header exchanged for another good one", func(t *testing.T) {
		parts := strings.Split(seal(header()), ".")
		parts[0] = base64.RawURLEncoding.EncodeToString([]byte(text(t, changed("cty", "application/json+gzip"))))
		refused(t, strings.Join(parts, "."), binding, 1)
	})
}

func wrap(t *testing.T, to *rsa.PublicKey, length int) (key, wrapped []byte) {
	key = make([]byte, length)
	_, err := rand.Read(key)
	require.NoError(t, err)
	wrapped, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, to, key, nil)
	require.NoError(t, err)
	return key, wrapped
}

func TestTheKeyFails(t *testing.T) {
	key := &sealeduploadtest.Key{Err: errors.New("KMS is down")}
	_, _, err := opener(key, sealeduploadtest.KeyID()).Open(t.Context(), []byte(seal(header())), binding)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))

	o := opener(&sealeduploadtest.Key{Err: sealedupload.ErrNotWrapped}, sealeduploadtest.KeyID())
	o.Rand = iotest.ErrReader(errors.New("no entropy"))
	_, _, err = o.Open(t.Context(), []byte(seal(header())), binding)
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

// TestExpiresMeanwhile: KMS may take its time.
func TestExpiresMeanwhile(t *testing.T) {
	key, late := &sealeduploadtest.Key{}, now
	o := opener(slow{key, func() { late = now.Add(time.Hour) }}, sealeduploadtest.KeyID())
	o.Now = func() time.Time { return late }
	_, _, err := o.Open(t.Context(), []byte(seal(header())), binding)
	require.Equal(t, refusal, err)
	require.EqualValues(t, 1, key.Calls.Load())
}

type slow struct {
	*sealeduploadtest.Key
	wait func()
}

func (s slow) UnwrapContentKey(ctx context.Context, encrypted []byte) ([]byte, error) {
	s.wait()
	return s.Key.UnwrapContentKey(ctx, encrypted)
}

// fixed unwraps everything to the same key.
type fixed struct{}

func (fixed) UnwrapContentKey(context.Context, []byte) ([]byte, error) { return make([]byte, 32), nil }

// FuzzOpen: what opens has one spelling, and go-jose reads it the same.
func FuzzOpen(f *testing.F) {
	// Without an RSA key, which each worker would take seconds to make.
	b, err := json.Marshal(map[string]any{"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "kid", "cty": "application/json", "aud": binding.Audience,
		"sub": binding.Owner, "client_id": binding.Client, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	require.NoError(f, err)
	f.Add(sealeduploadtest.Assemble(make([]byte, 32), make([]byte, 384), string(b), body))
	f.Add("....")
	f.Fuzz(func(t *testing.T, compact string) {
		opened, mediaType, err := opener(fixed{}, "kid").Open(t.Context(), []byte(compact), binding)
		if err != nil {
			require.Equal(t, refusal, err)
			return
		}
		require.Contains(t, binding.Types, mediaType)
		parsed, err := jose.ParseEncryptedCompact(compact, []jose.KeyAlgorithm{jose.RSA_OAEP_256}, []jose.ContentEncryption{jose.A256GCM})
		require.NoError(t, err)
		again, err := parsed.CompactSerialize()
		require.NoError(t, err)
		require.Equal(t, strings.Split(again, ".")[1:], strings.Split(compact, ".")[1:])
		require.LessOrEqual(t, len(compact), sealedupload.Size(len(opened)))
		require.Equal(t, "kid", parsed.Header.KeyID)
		require.Equal(t, binding.Owner, parsed.Header.ExtraHeaders["sub"])
	})
}
