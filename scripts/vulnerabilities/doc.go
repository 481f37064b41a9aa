// Package vulnerabilities tests scripts/vulnerabilities.sh: that it finds a vulnerability
// where there is one, and says so where it cannot know.
package vulnerabilities
