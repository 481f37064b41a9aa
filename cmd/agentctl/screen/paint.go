package screen

import (
	"fmt"
	"io"
	"strings"
)

// Style is how a line looks: some of these, added.
type Style uint8

const (
	Bold Style = 1 << iota
	Reverse
	Red    // not without colour
	Yellow // not without colour
)

// sequences are the parameters of ECMA-48's SGR, in the order of the styles.
var sequences = [...]string{"1", "7", "31", "33"}

// Line is a line of a frame.
type Line struct {
	Text  string
	Style Style
}

// painter writes what has changed from one frame to the next.
type painter struct {
	out           io.Writer
	color         bool
	shown         []Line
	width, height int
}

func (p *painter) draw(lines []Line, width, height int) error {
	var b strings.Builder
	if width != p.width || height != p.height {
		b.WriteString("\x1b[0m\x1b[2J") // nobody knows what a change of size has left
		p.width, p.height, p.shown = width, height, make([]Line, height)
	}
	for y := range height {
		line := Line{}
		if y < len(lines) {
			line = lines[y]
		}
		if line == p.shown[y] {
			continue
		}
		p.shown[y] = line
		text := Clip(safe(line.Text), width)
		if line.Style&Reverse != 0 { // the whole row
			text += strings.Repeat(" ", max(width-Width(text), 0))
		}
		// The line is erased first: behind a full line, that would take its last character.
		fmt.Fprintf(&b, "\x1b[%d;1H\x1b[2K%s%s\x1b[0m", y+1, p.sequence(line.Style), text)
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(p.out, b.String())
	return err
}

func (p *painter) sequence(style Style) string {
	if !p.color {
		style &^= Red | Yellow
	}
	var on []string
	for i, parameter := range sequences {
		if style&(1<<i) != 0 {
			on = append(on, parameter)
		}
	}
	if len(on) == 0 {
		return ""
	}
	return "\x1b[" + strings.Join(on, ";") + "m"
}
