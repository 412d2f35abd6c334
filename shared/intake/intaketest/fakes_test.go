package intaketest_test

import (
	"testing"
	"time"

	"fitvault/shared/intake"
	"fitvault/shared/intake/intaketest"
)

func TestManifests(t *testing.T) {
	intaketest.ManifestsContract(t, func(now func() time.Time) intake.Manifests { return &intaketest.Manifests{Now: now} })
}

func TestBlocks(t *testing.T) {
	var b intaketest.Blocks
	intaketest.BlocksContract(t, &b, &b)
}

func TestDocuments(t *testing.T) {
	var d intaketest.Documents
	intaketest.DocumentsContract(t, &d, d.Get, intaketest.ErrNotFound)
}

func TestCounters(t *testing.T) { intaketest.CountersContract(t, &intaketest.Counters{}) }
