package web

import (
	"bytes"
	"encoding/binary"
	bitmap "image"
	"image/color"
	"image/png"
	"net/http"
)

// The icon, drawn as in assets/icon.svg, for those who take no SVG.
var (
	iconGround = color.NRGBA{0x1f, 0x6f, 0x5c, 0xff}
	iconPaper  = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	iconFold   = color.NRGBA{0xb9, 0xd8, 0xcf, 0xff}
)

// iconAt is the colour of a point in a square of 64 by 64; transparent outside the rounded corners.
func iconAt(x, y float64) color.NRGBA {
	inside := func(left, top, right, bottom float64) bool { return left <= x && x < right && top <= y && y < bottom }
	const radius = 14
	dx, dy := max(radius-x, x-(64-radius), 0), max(radius-y, y-(64-radius), 0)
	switch {
	case dx*dx+dy*dy > radius*radius:
		return color.NRGBA{}
	case inside(24, 29, 42, 32), inside(24, 36, 42, 39), inside(24, 43, 35, 46):
		return iconGround
	case inside(38, 12, 48, 22) && x-38 > y-12:
		return iconGround
	case inside(38, 12, 48, 22):
		return iconFold
	case inside(18, 12, 48, 52):
		return iconPaper
	default:
		return iconGround
	}
}

// iconPNG draws the icon, size pixels wide.
func iconPNG(size int) []byte {
	const fine = 4 // samples of a pixel in each direction
	picture := bitmap.NewNRGBA(bitmap.Rect(0, 0, size, size))
	for py := range size {
		for px := range size {
			var r, g, b, a float64
			for i := range fine * fine {
				x, y := float64(px)+(float64(i%fine)+0.5)/fine, float64(py)+(float64(i/fine)+0.5)/fine
				c := iconAt(x*64/float64(size), y*64/float64(size))
				alpha := float64(c.A)
				r, g, b, a = r+float64(c.R)*alpha, g+float64(c.G)*alpha, b+float64(c.B)*alpha, a+alpha
			}
			if a > 0 {
				picture.SetNRGBA(px, py, color.NRGBA{uint8(r / a), uint8(g / a), uint8(b / a), uint8(a / (fine * fine))})
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		panic("web: " + err.Error())
	}
	return out.Bytes()
}

// iconICO wraps a PNG of 32 by 32 as browsers look for it at /favicon.ico.
func iconICO(picture []byte) []byte {
	var out bytes.Buffer
	for _, part := range []any{
		[]uint16{0, 1, 1}, []uint8{32, 32, 0, 0}, []uint16{1, 32}, uint32(len(picture)), uint32(22), //nolint:gosec // a few hundred bytes
	} {
		_ = binary.Write(&out, binary.LittleEndian, part) // a buffer takes everything
	}
	return append(out.Bytes(), picture...)
}

// mountIcons serves the icon in the forms that browsers and MCP clients ask for.
func mountIcons(mux *http.ServeMux) {
	vector, err := assets.ReadFile("assets/icon.svg")
	if err != nil {
		panic("web: " + err.Error())
	}
	for path, file := range map[string]struct {
		kind string
		data []byte
	}{
		"/icon.svg":             {"image/svg+xml", vector},
		"/icon-192.png":         {"image/png", iconPNG(192)},
		"/apple-touch-icon.png": {"image/png", iconPNG(180)},
		"/favicon.ico":          {"image/x-icon", iconICO(iconPNG(32))},
	} {
		mux.Handle(path, readOnly(cached(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", file.kind)
			// Clients show it on pages of their own.
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			h.Set("Content-Security-Policy", "default-src 'none'")
			_, _ = w.Write(file.data)
		}))))
	}
}
