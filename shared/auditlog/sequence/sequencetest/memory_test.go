package sequencetest_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
)

func TestMemory(t *testing.T) {
	sequencetest.HeadsContract(t, sequencetest.NewMemory())
	sequencetest.ObjectsContract(t, sequencetest.NewMemory(), "")
	m := sequencetest.NewMemory()
	sequencetest.EventsContract(t, m, m)
	sequencetest.SubjectsContract(t, m)
	sequencetest.PlacesContract(t, m)
	sequencetest.ItemsContract(t, m, func(key string) []string {
		items := []string{"2026-05-04#" + key, "recording#" + key}
		m.SetManifest(key, items...)
		return items
	})
	sequencetest.ComparedContract(t, m)
	sequencetest.OwnersContract(t, m, func(owner, id string) {
		found, err := m.KeyIDs(t.Context(), []string{owner})
		require.NoError(t, err)
		m.SetKeys(owner, append(found[owner], id)...)
	})
	sequencetest.UsesContract(t, m, func(times int) (keys []string) {
		for n := range times {
			keys = append(keys, rand.Text())
			m.Use(sequence.Use{ID: fmt.Sprint("record-", n), Time: time.Now().UTC().Truncate(time.Second), Operation: "Decrypt", Key: keys[n]})
		}
		return keys
	})
	stored := map[string]bool{}
	sequencetest.ChangesContract(t, m, func(owner, item string) {
		m.Change("shard", sequence.Change{Owner: owner, Item: item, Time: time.Now(), Stored: !stored[item]})
		stored[item] = true
	}, func(owner, item string) {
		m.Change("shard", sequence.Change{Owner: owner, Item: item, Time: time.Now()})
	})
}
