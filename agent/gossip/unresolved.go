package gossip

import (
	"bytes"
	"io"
	"log"
)

// Memberlist warns of each name that it cannot resolve, at each try, and returns the
// same as an error. Who joins logs that error, or its first one at level INFO where the
// others may only start a little later. So memberlist's line adds nothing but noise.
var (
	unresolved      = []byte("[WARN] memberlist: failed to resolve ")
	unresolvedQuiet = []byte("[DEBUG] memberlist: failed to resolve ")
)

// quietResolving returns a logger that writes these lines at level DEBUG.
func quietResolving(logger *log.Logger) *log.Logger {
	return log.New(resolvingWriter{logger.Writer()}, logger.Prefix(), logger.Flags())
}

type resolvingWriter struct{ out io.Writer }

func (w resolvingWriter) Write(line []byte) (int, error) {
	if bytes.Contains(line, unresolved) {
		if _, err := w.out.Write(bytes.Replace(line, unresolved, unresolvedQuiet, 1)); err != nil {
			return 0, err
		}
		return len(line), nil
	}
	return w.out.Write(line)
}
