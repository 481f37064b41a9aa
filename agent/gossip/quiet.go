package gossip

import (
	"bytes"
	"fmt"
	"io"
	"log"
)

// quieter returns a logger that writes at level DEBUG what memberlist warns of in the
// ordinary life of a node:
//
//   - A name that it cannot resolve, at each try. It returns the same as an error. Who
//     joins logs that, and first at level INFO, as the others may only start later.
//   - That a node denies its own leave when it comes back after a restart.
func quieter(logger *log.Logger, self string) *log.Logger {
	return log.New(quietWriter{logger.Writer(), [][]byte{
		[]byte("memberlist: failed to resolve "),
		fmt.Appendf(nil, "memberlist: Refuting a dead message (from: %s)", self),
	}}, logger.Prefix(), logger.Flags())
}

type quietWriter struct {
	out   io.Writer
	quiet [][]byte // beginnings of lines, behind their level
}

func (w quietWriter) Write(line []byte) (int, error) {
	written := line
	if before, rest, warns := bytes.Cut(line, []byte("[WARN] ")); warns {
		for _, q := range w.quiet {
			if bytes.HasPrefix(rest, q) {
				written = fmt.Appendf(nil, "%s[DEBUG] %s", before, rest)
			}
		}
	}
	if _, err := w.out.Write(written); err != nil {
		return 0, err
	}
	return len(line), nil
}
