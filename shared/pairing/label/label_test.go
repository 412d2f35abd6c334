package label_test

import (
	"bytes"
	"crypto/rand"
	"encoding/xml"
	"image"
	"image/color"
	"image/png"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/label"
)

// read is what another's library reads in a picture.
func read(t *testing.T, picture image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	require.NoError(t, err)
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	require.NoError(t, err)
	return result.GetText()
}

func labels(t *testing.T) (all []pairing.Label) {
	for _, id := range []string{"acme-1", "abcdefghijklmnop-" + strings.Repeat("Z", 47)} {
		device, err := pairing.ParseDeviceID(id)
		require.NoError(t, err)
		l := pairing.Label{Device: device}
		_, _ = rand.Read(l.KeyHash[:])
		l.Code, err = pairing.NewCode(rand.Reader)
		require.NoError(t, err)
		all = append(all, l)
	}
	return all
}

func TestPNG(t *testing.T) {
	for _, l := range labels(t) {
		for _, pixels := range []int{2, 8} {
			text, err := label.PNG(l, pixels)
			require.NoError(t, err)
			picture, err := png.Decode(bytes.NewReader(text))
			require.NoError(t, err)
			require.Equal(t, l.Text(), read(t, picture))
		}
		for _, pixels := range []int{-1, 0, 33} {
			_, err := label.PNG(l, pixels)
			require.Equal(t, fault.Internal, fault.KindOf(err))
		}
	}
}

func TestSVG(t *testing.T) {
	square := regexp.MustCompile(`M(\d+) (\d+)h1v1h-1z`)
	for _, l := range labels(t) {
		text, err := label.SVG(l)
		require.NoError(t, err)
		require.NoError(t, xml.Unmarshal(text, &struct{}{}))
		match := regexp.MustCompile(`viewBox="0 0 (\d+) `).FindSubmatch(text)
		require.NotNil(t, match)
		side, err := strconv.Atoi(string(match[1]))
		require.NoError(t, err)
		const scale = 4
		picture := image.NewGray(image.Rect(0, 0, side*scale, side*scale))
		for i := range picture.Pix {
			picture.Pix[i] = 0xff
		}
		for _, m := range square.FindAllSubmatch(text, -1) {
			x, _ := strconv.Atoi(string(m[1]))
			y, _ := strconv.Atoi(string(m[2]))
			fill(picture, x, y, scale)
		}
		require.Equal(t, l.Text(), read(t, picture))
	}
}

func TestTerminal(t *testing.T) {
	for _, l := range labels(t) {
		text, err := label.Terminal(l)
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		width := len([]rune(lines[0]))
		const scale, border = 4, 4
		picture := image.NewGray(image.Rect(0, 0, (width+2*border)*scale, (2*len(lines)+2*border)*scale))
		for i := range picture.Pix {
			picture.Pix[i] = 0xff
		}
		for y, line := range lines {
			require.Len(t, []rune(line), width)
			for x, r := range []rune(line) {
				if r == ' ' || r == '▄' {
					fill(picture, x+border, 2*y+border, scale)
				}
				if r == ' ' || r == '▀' {
					fill(picture, x+border, 2*y+1+border, scale)
				}
			}
		}
		require.Equal(t, l.Text(), read(t, picture))
	}
}

func fill(picture *image.Gray, x, y, scale int) {
	for dy := range scale {
		for dx := range scale {
			picture.SetGray(x*scale+dx, y*scale+dy, color.Gray{})
		}
	}
}
