package packets

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"agentctl/handler/text"
)

// maxNamed is how many members a warning names.
const maxNamed = 3

// Warnings says to which members packets do not pass, and what to do: one sentence, or
// none where all is well.
func (w *Watch) Warnings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	named := map[string]uint16{}
	for name, s := range w.silent {
		if s.connected && s.failed >= closed {
			named[name] = s.port
		}
	}
	if len(named) == 0 {
		return nil
	}
	return []string{warning(named)}
}

// warning names the ports of members.
func warning(ports map[string]uint16) string {
	names := slices.Sorted(maps.Keys(ports))
	var of []string
	last := uint16(0)
	for _, name := range names[:min(len(names), maxNamed)] {
		item := text.Shorten(name, 64)
		if port := ports[name]; port != last {
			item, last = fmt.Sprintf("%d of %s", port, item), port
		}
		of = append(of, item)
	}
	if more := len(names) - len(of); more > 0 {
		of = append(of, fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("UDP port %s seems closed, or that of this node, while TCP is open: open it, for example with -p %[2]d:%[2]d/udp", strings.Join(of, ", "), last)
}

// log writes a warning once a minute while there is one, and a line when it is over. It
// returns when it last wrote one, or zero when it is over.
func (w *Watch) log(logged time.Time) time.Time {
	warnings := w.Warnings()
	switch now := time.Now(); {
	case len(warnings) == 0 && !logged.IsZero():
		w.cfg.Logger.Info("UDP is closed to no member any more")
		return time.Time{}
	case len(warnings) > 0 && now.Sub(logged) >= logInterval:
		w.cfg.Logger.Warn(warnings[0])
		return now
	}
	return logged
}
