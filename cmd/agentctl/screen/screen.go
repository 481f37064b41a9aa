package screen

import (
	"errors"
	"os"

	"golang.org/x/term"
)

// begin switches to the other screen, hides the cursor and turns wrapping off; end undoes it.
const (
	begin = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	end   = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// Screen is a terminal that shows frames. One goroutine may use it.
type Screen struct {
	in, out *os.File
	before  *term.State
	output  func() error // brings back how the terminal took output
	paint   painter
	keys    chan Key
	closed  chan struct{}
}

// IsTerminal tells whether a file is a terminal.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Open takes the terminal over. It reads keys until the end of the program, since nothing can
// end a read of a terminal.
func Open(in, out *os.File, color bool) (*Screen, error) {
	s := &Screen{in: in, out: out, paint: painter{out: out, color: color}, keys: make(chan Key), closed: make(chan struct{})}
	var err error
	if s.before, err = term.MakeRaw(int(in.Fd())); err != nil {
		return nil, err
	}
	if s.output, err = takeSequences(out); err != nil {
		return nil, errors.Join(err, term.Restore(int(in.Fd()), s.before))
	}
	if _, err = out.WriteString(begin); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	chunks := make(chan []byte)
	go read(in, chunks, s.closed)
	go decode(chunks, s.keys, s.closed)
	return s, nil
}

// Keys are the keys pressed. The channel is closed if the terminal has gone.
func (s *Screen) Keys() <-chan Key { return s.keys }

// Size is the terminal's in columns and rows; 80 and 24 if it does not say.
func (s *Screen) Size() (width, height int) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// Draw shows a frame on a screen of this size. Lines that do not fit are left out.
func (s *Screen) Draw(lines []Line, width, height int) error {
	return s.paint.draw(lines, width, height)
}

// Close gives the terminal back as it was.
func (s *Screen) Close() error {
	close(s.closed)
	_, err := s.out.WriteString(end)
	return errors.Join(err, s.output(), term.Restore(int(s.in.Fd()), s.before))
}
