package pages

import (
	"regexp"
	"strings"
)

// commandLine matches the beginning of a line that a reader would type.
var commandLine = regexp.MustCompile(`^(\$ +)?(sudo +|[A-Z_]+=\S+ +)*(agentctl|serf|go|scripts/\S+|\./\S+|curl|docker|docker-compose|kubectl|helm|mkdir|ln|cp|apt|apt-get|dpkg|rpm|systemctl|journalctl|install|source|kong|git|cd|for|openssl)( |$)`)

// IsCommands tells whether a block is one of commands, and not of output or of a
// file's content.
func (b Block) IsCommands() bool {
	if b.Lang != "" && b.Lang != "sh" && b.Lang != "bash" && b.Lang != "console" {
		return false
	}
	for line := range strings.SplitSeq(b.Text, "\n") {
		if !strings.HasPrefix(line, "#") {
			return commandLine.MatchString(line)
		}
	}
	return false
}
