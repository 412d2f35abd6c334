package objects_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/intake"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/objects"
)

// deployed is the bucket of the local stack. Tests use random ids, and leave
// behind what they stored.
func deployed(t *testing.T, limit int64) objects.Bucket {
	s := stack.Open(t)
	client := s3.NewFromConfig(s.AWS(), func(o *s3.Options) { o.UsePathStyle = true })
	return objects.Bucket{Client: client, Name: s.Output(t, "DocumentsBucket"), Limit: limit}
}

func TestContract(t *testing.T) {
	b := deployed(t, intake.MaxDocument+1<<10)
	intaketest.DocumentsContract(t, b, b.Get, objects.ErrNotFound)
}

func TestAnObjectThatNobodyStoredIsNotReadWhole(t *testing.T) {
	b := deployed(t, 100)
	id := fmt.Sprint("limit-", time.Now().UnixNano())
	require.NoError(t, b.Put(t.Context(), id+"a", make([]byte, 100)))
	_, err := b.Get(t.Context(), id+"a")
	require.NoError(t, err)
	require.NoError(t, b.Put(t.Context(), id+"b", make([]byte, 101)))
	_, err = b.Get(t.Context(), id+"b")
	require.ErrorContains(t, err, "larger than any that was stored")
}

func TestListAndDelete(t *testing.T) {
	b := deployed(t, 100)
	prefix := fmt.Sprint("list-", time.Now().UnixNano(), "/")
	for _, id := range []string{"b", "a", "c/d"} {
		require.NoError(t, b.Put(t.Context(), prefix+id, []byte("sealed")))
	}
	mark := prefix + "mark"
	require.NoError(t, b.Put(t.Context(), mark, nil), "an object may be empty")
	content, err := b.Get(t.Context(), mark)
	require.NoError(t, err)
	require.Empty(t, content)
	require.NoError(t, b.Delete(t.Context(), mark))
	list := func(after string) []string {
		ids, err := b.List(t.Context(), prefix, after)
		require.NoError(t, err)
		return ids
	}
	require.Equal(t, []string{prefix + "a", prefix + "b", prefix + "c/d"}, list(""))
	require.Equal(t, []string{prefix + "c/d"}, list(prefix+"b"))
	require.Empty(t, list(prefix+"c/d"))
	for range 2 { // that there is none is no error
		require.NoError(t, b.Delete(t.Context(), prefix+"b"))
	}
	require.Equal(t, []string{prefix + "a", prefix + "c/d"}, list(""))
	_, err = b.Get(t.Context(), prefix+"b")
	require.ErrorIs(t, err, objects.ErrNotFound)
}
