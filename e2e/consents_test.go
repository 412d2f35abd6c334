package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	"fitvault/e2e/stack"
	"fitvault/shared/consent"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/kmskeys"
	"fitvault/shared/receipt"
)

// said is an answer about one consent.
type said struct {
	User, Purpose, Version, Locale, How, Receipt string
	Given, Counts                                bool
	AskedAgain                                   bool `json:"asked_again"`
	Text                                         struct{ Markdown, Digest string }
}

func say(t *testing.T, p *stack.Person, purpose, body string) (c said) {
	t.Helper()
	answer := p.Do(t, http.MethodPut, "/users/me/consents/"+purpose, []byte(body), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	answer.JSON(t, &c)
	return c
}

// TestConsents: an account that the consent to share has made takes nothing in
// until there is one to collect; and each word has a receipt that joserfc checks
// with the deployed key.
func TestConsents(t *testing.T) {
	s := stack.Open(t)
	p := s.Stranger(t)
	write := func() stack.Answer {
		return p.Do(t, http.MethodPost, "/users/me/readings", []byte(heartRate("2026-05-04T07:25:00Z", "71")), "Content-Type", "application/json")
	}
	look := func(purpose, query string) (c said) {
		answer := p.Do(t, http.MethodGet, "/users/me/consents/"+purpose+query, nil)
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
		answer.JSON(t, &c)
		return c
	}
	isProblem(t, fault.ConsentRequired, write())
	shown := look("sharing", "?locale=de")
	require.Contains(t, shown.Text.Markdown, "# Dürfen wir Ihre Messwerte")

	shared := say(t, p, "sharing", `{"version":"1","given":true,"locale":"de"}`)
	require.NotEmpty(t, shared.User)
	isProblem(t, fault.ConsentRequired, write())
	collected := say(t, p, "collection", `{"version":"1","given":true}`)
	require.Equal(t, shared.User, collected.User)
	require.Equal(t, http.StatusOK, write().Status)
	research := say(t, p, "research", `{"version":"1","given":true}`)
	withdrawn := say(t, p, "collection", `{"given":false}`)
	isProblem(t, fault.ConsentRequired, write())
	require.Equal(t, withdrawn.Receipt, look("collection", "").Receipt)
	require.Equal(t, shared.Receipt, look("sharing", "").Receipt)

	key, err := kmskeys.Keys{Client: kms.NewFromConfig(s.AWS()), ARNs: map[string]string{keyring.PurposeReceipts: s.Output(t, "ReceiptKey")}}.
		PublicKey(t.Context(), keyring.PurposeReceipts)
	require.NoError(t, err)
	thumbprint, err := receipt.Thumbprint(key)
	require.NoError(t, err)
	words := []said{shared, collected, research, withdrawn}
	var receipts []string
	for _, w := range words {
		receipts = append(receipts, w.Receipt, w.Receipt[:10]+strings.Map(func(r rune) rune { return r ^ 1 }, w.Receipt[10:11])+w.Receipt[11:])
	}
	for i, checked := range oracle.Receipts(t, key, receipts) {
		if i%2 == 1 {
			require.False(t, checked.Valid)
			continue
		}
		w := words[i/2]
		require.True(t, checked.Valid)
		require.Equal(t, map[string]any{"alg": "ES256", "kid": thumbprint, "typ": receipt.Type}, checked.Header)
		require.NotEmpty(t, checked.Claims["jti"])
		require.NotZero(t, checked.Claims["iat"])
		delete(checked.Claims, "jti")
		delete(checked.Claims, "iat")
		require.Equal(t, map[string]any{"iss": deployment, "sub": shared.User, "purpose": w.Purpose, "version": "1", "locale": w.Locale, "given": w.Given,
			"how": s.Clients["app"].ID, "digest": consent.Published.Digest(consent.Purpose(w.Purpose), "1", consent.Locale(w.Locale))}, checked.Claims)
	}
	for _, other := range []string{"marketing", "Collection", "receipts", "..", "collection%00", "{purpose}"} {
		require.Equal(t, http.StatusNotFound, p.Do(t, http.MethodGet, "/users/me/consents/"+other, nil).Status, other)
	}
}

// TestWithdrawalUnderLoad: the first request that starts after the answer to a
// withdrawal is refused, whatever else is under way.
func TestWithdrawalUnderLoad(t *testing.T) {
	s := stack.Open(t)
	p := s.Newcomer(t)
	body := []byte(heartRate("2026-05-04T07:25:00Z", "71"))
	stop := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	defer close(stop)
	for range 15 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = p.Try(t, http.MethodPost, "/users/me/readings", body, "Content-Type", "application/json")
				}
			}
		})
	}
	for range 5 {
		require.True(t, say(t, p, "collection", `{"version":"1","given":true}`).Counts)
		require.Equal(t, http.StatusOK, p.Do(t, http.MethodPost, "/users/me/readings", body, "Content-Type", "application/json").Status)
		require.False(t, say(t, p, "collection", `{"given":false}`).Counts)
		isProblem(t, fault.ConsentRequired, p.Do(t, http.MethodPost, "/users/me/readings", body, "Content-Type", "application/json"))
	}
}
