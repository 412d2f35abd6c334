package gzipbody_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/gzipbody"
)

func compress(t testing.TB, text []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	require.NoError(t, err)
	_, err = w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestDecompress(t *testing.T) {
	for _, text := range []string{"", "a", string(bytes.Repeat([]byte("ab"), 500))} {
		got, err := gzipbody.Decompress(compress(t, []byte(text)), 1000)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
		require.NoError(t, iotest.TestReader(gzipbody.NewReader(compress(t, []byte(text)), 1000), []byte(text)))
	}
}

func TestBroken(t *testing.T) {
	good := compress(t, []byte("some text"))
	changed := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	for name, body := range map[string][]byte{
		"nothing": {}, "not gzip": []byte("some text"), "zlib": {0x78, 0x9c, 3, 0, 0, 0, 0, 1}, "the mark only": good[:2], "the header only": good[:10],
		"cut off": good[:len(good)-9], "no length": good[:len(good)-4], "checksum": changed(len(good) - 8), "length": changed(len(good) - 1),
		"method": changed(2), "a byte behind": append(bytes.Clone(good), 0), "twice": append(bytes.Clone(good), good...),
	} {
		_, err := gzipbody.Decompress(body, 1000)
		require.Equal(t, fault.BadRequest, fault.KindOf(err), name)
	}
	for i := range good { // cut anywhere
		_, err := gzipbody.Decompress(good[:i], 1000)
		require.Equal(t, fault.BadRequest, fault.KindOf(err), i)
	}
}

// zeros are as many as are asked for.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	clear(p[:n])
	z.left -= n
	return n, nil
}

// A bomb of 1 GiB costs what the limit costs.
func TestLimit(t *testing.T) {
	exact, err := gzipbody.Decompress(compress(t, make([]byte, 1000)), 1000)
	require.NoError(t, err)
	require.Len(t, exact, 1000)
	_, err = gzipbody.Decompress(compress(t, make([]byte, 1001)), 1000)
	require.Equal(t, fault.TooLarge, fault.KindOf(err))

	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, err = io.Copy(w, &zeros{1 << 30})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = gzipbody.Decompress(bomb.Bytes(), 1<<20)
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	_, err = io.Copy(io.Discard, gzipbody.NewReader(bomb.Bytes(), 32<<20))
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
}

func FuzzDecompress(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		text, err := gzipbody.Decompress(body, 1000)
		if err != nil {
			require.Contains(t, []fault.Kind{fault.BadRequest, fault.TooLarge}, fault.KindOf(err))
			return
		}
		require.LessOrEqual(t, len(text), 1000)
		again, err := gzipbody.Decompress(compress(t, text), 1000)
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, again))
	})
}
