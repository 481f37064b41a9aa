package gossip

import (
	"fmt"
	"io"
	"log"
	"strconv"
	"strings"

	"agentctl/handler/text"
)

// misfit is how memberlist says that a member announces a version of serf's protocol
// that another one does not understand. It says so in no other form. Both sides of a
// join compare the same members, and come to the same text.
var misfit = text.LazyRegexp(`Node '(.*?)' delegate protocol version \((\d+)\) is incompatible: \[(\d+), (\d+)\]`)

// remedy says which setting mends a misfit that a text tells of. It is "" if the text
// tells of none, and if no version is understood by all. Self is this node's name.
func remedy(text, self string) string {
	if !strings.Contains(text, "is incompatible") { // most lines of the log
		return ""
	}
	m := misfit().FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	var numbers [3]int
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.Atoi(m[i+2]); err != nil {
			return ""
		}
	}
	announced, lowest, highest := numbers[0], numbers[1], numbers[2]
	if lowest > highest {
		return ""
	}
	fits := min(max(announced, lowest), highest)
	if m[1] == self {
		return fmt.Sprintf("this agent announces serf protocol %d, which not every member understands: start it with -protocol=%d, or set AGENTCTL_PROTOCOL=%d", announced, fits, fits)
	}
	return fmt.Sprintf("member %q announces serf protocol %d, which not every member understands: start that member with -protocol=%d", m[1], announced, fits)
}

// remedied puts the setting that mends a misfit before the error of a join.
func (n *Node) remedied(err error) error {
	if err == nil {
		return nil
	}
	if remedy := remedy(err.Error(), n.name); remedy != "" {
		return fmt.Errorf("%s: %w", remedy, err)
	}
	return err
}

// remedying returns a logger that writes what mends a misfit behind each line that
// tells of one. Of the joins of others, and of later full syncs, there is only a line.
func remedying(logger *log.Logger, self string) *log.Logger {
	return log.New(remedyWriter{logger.Writer(), self}, logger.Prefix(), logger.Flags())
}

type remedyWriter struct {
	out  io.Writer
	self string
}

func (w remedyWriter) Write(line []byte) (int, error) {
	if remedy := remedy(string(line), w.self); remedy != "" {
		if _, err := fmt.Fprintf(w.out, "%s; %s\n", strings.TrimSuffix(string(line), "\n"), remedy); err != nil {
			return 0, err
		}
		return len(line), nil
	}
	return w.out.Write(line)
}
