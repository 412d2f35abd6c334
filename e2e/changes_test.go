package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

// rate is a heart rate of 4 May with a value that tells the copies apart.
func rate(id, version, clock string, value int) string {
	return fmt.Sprintf(`{"header":{"uuid":"00000000-0000-4000-8000-%012s","schema_id":{"namespace":"omh","name":"heart-rate","version":%q},
		"source_creation_date_time":"2026-05-04T12:00:00Z"},
		"body":{"heart_rate":{"value":%d,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T%sZ"}}}`, id, version, value, clock)
}

func sendReadings(t *testing.T, p *stack.Person, body string) {
	t.Helper()
	a := p.Do(t, http.MethodPost, "/users/me/readings", []byte(body), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, a.Status, string(a.Body))
	require.NotContains(t, string(a.Body), "invalid")
}

// rates are the values that a list shows, and its as_of.
func rates(t *testing.T, p *stack.Person, query url.Values) (values []int, asOf string) {
	t.Helper()
	a := p.Do(t, http.MethodGet, "/users/me/readings?"+query.Encode(), nil)
	require.Equal(t, http.StatusOK, a.Status, string(a.Body))
	var page struct {
		Items []struct {
			Body struct {
				Rate struct{ Value int } `json:"heart_rate"`
			}
		}
		AsOf string `json:"as_of"`
		Next string `json:"next_page_token"`
	}
	a.JSON(t, &page)
	require.Empty(t, page.Next)
	for _, item := range page.Items {
		values = append(values, item.Body.Rate.Value)
	}
	return values, page.AsOf
}

// TestTheSameRecordTwice: the copy that counts is shown, whoever sent it by what
// key, and all of them are kept.
func TestTheSameRecordTwice(t *testing.T) {
	s := stack.Open(t)
	p := s.Newcomer(t)
	sendReadings(t, p, "["+rate("1", "2.0", "07:00:00", 61)+","+rate("2", "2.0", "08:00:00", 70)+"]")
	sendReadings(t, p, rate("1", "2.0", "09:00:00", 62))
	values, _ := rates(t, p, nil)
	require.Equal(t, []int{70, 62}, values, "a correction counts")
	sendReadings(t, p, rate("1", "1.0", "09:00:00", 63))
	values, _ = rates(t, p, nil)
	require.Equal(t, []int{70, 62}, values, "an older schema's does not")
	other := p.By(t, "partner")
	sendReadings(t, other, rate("2", "2.0", "08:00:00", 71))
	values, _ = rates(t, p, nil)
	require.Equal(t, []int{71, 62}, values, "another client's is the same record")
	require.Len(t, newBehind(t, s).blocks(t, p.ID), 4, "all are kept")
}

// TestChangesSince: an app that asks with the as_of of the last time learns all that is new.
func TestChangesSince(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	sendReadings(t, p, rate("1", "2.0", "07:00:00", 61))
	values, asOf := rates(t, p, nil)
	require.Equal(t, []int{61}, values)
	at, err := time.Parse(time.RFC3339Nano, asOf)
	require.NoError(t, err)
	require.WithinRange(t, at, time.Now().Add(-3*time.Minute), time.Now())
	values, _ = rates(t, p, url.Values{"since": {asOf}})
	require.Equal(t, []int{61}, values, "what came a moment ago may be told twice")
	later := at.Add(3 * time.Minute).Format(time.RFC3339)
	values, _ = rates(t, p, url.Values{"since": {later}})
	require.Empty(t, values)
	var problem struct{ Status int }
	a := p.Do(t, http.MethodGet, "/users/me/readings?since=yesterday", nil)
	require.NoError(t, json.Unmarshal(a.Body, &problem))
	require.Equal(t, http.StatusBadRequest, problem.Status)
}
