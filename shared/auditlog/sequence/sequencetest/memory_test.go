package sequencetest_test

import (
	"testing"
	"time"

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
	stored := map[string]bool{}
	sequencetest.ChangesContract(t, m, func(owner, item string) {
		m.Change("shard", sequence.Change{Owner: owner, Item: item, Time: time.Now(), Stored: !stored[item]})
		stored[item] = true
	}, func(owner, item string) {
		m.Change("shard", sequence.Change{Owner: owner, Item: item, Time: time.Now()})
	})
}
