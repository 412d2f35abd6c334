package sequencetest_test

import (
	"testing"

	"fitvault/shared/auditlog/sequence/sequencetest"
)

func TestMemory(t *testing.T) {
	sequencetest.HeadsContract(t, sequencetest.NewMemory())
	sequencetest.ObjectsContract(t, sequencetest.NewMemory(), "")
	m := sequencetest.NewMemory()
	sequencetest.EventsContract(t, m, m)
	sequencetest.SubjectsContract(t, m)
}
