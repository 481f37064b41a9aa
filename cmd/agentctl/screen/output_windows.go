package screen

import (
	"os"

	"golang.org/x/sys/windows"
)

// takeSequences has the console act on sequences in what is written, and says how to undo
// that.
func takeSequences(out *os.File) (undo func() error, err error) {
	h := windows.Handle(out.Fd())
	var mode uint32
	if err := windows.GetConsoleMode(h, &mode); err != nil {
		return nil, err
	}
	return func() error { return windows.SetConsoleMode(h, mode) },
		windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
}
