// Package label draws a tracker's QR code: for the box, for a screen, for a
// terminal. The functions of the API need none of it.
package label

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"

	"fitvault/shared/fault"
	"fitvault/shared/pairing"
)

// quiet is the light border that readers need, in modules (ISO/IEC 18004, section 9.1).
const quiet = 4

// modules is a QR code: dark reports whether the module at x, y is, from 0 to size.
type modules struct {
	code barcode.Barcode
	size int
}

func modulesOf(l pairing.Label) (modules, error) {
	code, err := qr.Encode(l.Text(), qr.M, qr.Unicode)
	if err != nil {
		return modules{}, fault.Wrap(fault.Internal, "QR code cannot be drawn", err)
	}
	return modules{code, code.Bounds().Dx()}, nil
}

func (m modules) dark(x, y int) bool {
	if x < 0 || y < 0 || x >= m.size || y >= m.size {
		return false
	}
	return color.GrayModel.Convert(m.code.At(x, y)).(color.Gray).Y < 0x80
}

// PNG draws the label, each module as pixels × pixels.
func PNG(l pairing.Label, pixels int) ([]byte, error) {
	if pixels < 1 || pixels > 32 {
		return nil, fault.New(fault.Internal, "modules of a QR code have 1 to 32 pixels")
	}
	m, err := modulesOf(l)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m.raster(pixels)); err != nil {
		return nil, fault.Wrap(fault.Internal, "QR code cannot be written", err)
	}
	return b.Bytes(), nil
}

// SVG draws the label as one path.
func SVG(l pairing.Label) ([]byte, error) {
	m, err := modulesOf(l)
	if err != nil {
		return nil, err
	}
	var path bytes.Buffer
	for y := range m.size {
		for x := range m.size {
			if m.dark(x, y) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}
	whole := m.size + 2*quiet
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path d="%s"/></svg>`+"\n", whole, whole, whole, whole, path.Bytes()), nil
}

// Terminal draws the label in half blocks, two modules a character, light on
// whatever is behind: for a dark terminal.
func Terminal(l pairing.Label) (string, error) {
	m, err := modulesOf(l)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	const border = 2 // less than readers are promised, enough for those of phones
	for y := -border; y < m.size+border; y += 2 {
		for x := -border; x < m.size+border; x++ {
			upper, lower := m.dark(x, y), m.dark(x, y+1)
			switch {
			case upper && lower:
				b.WriteByte(' ')
			case upper:
				b.WriteString("▄")
			case lower:
				b.WriteString("▀")
			default:
				b.WriteString("█")
			}
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// raster is the code in pixels.
func (m modules) raster(pixels int) *image.Paletted {
	side := (m.size + 2*quiet) * pixels
	p := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			if m.dark(x/pixels-quiet, y/pixels-quiet) {
				p.SetColorIndex(x, y, 1)
			}
		}
	}
	return p
}
