package postgrestest_test

import (
	"testing"

	"fitvault/shared/postgres/postgrestest"
)

func TestMemory(t *testing.T) {
	var m postgrestest.Memory
	postgrestest.Contract(t, &m, &m, func() postgrestest.Parts { return &m })
}
