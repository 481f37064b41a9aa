package gossip

import (
	"encoding/json"
	"fmt"
	"maps"

	"agentctl/agent/files"
)

// UpdateTags changes tags of this node, and tells the cluster and the tags file,
// unless its path is empty. Some two seconds may pass until serf has told others.
func (n *Node) UpdateTags(set map[string]string, remove []string, path string) error {
	n.tags.Lock()
	defer n.tags.Unlock()
	tags := map[string]string{}
	maps.Copy(tags, n.LocalMember().Tags) // the one truth: serf keeps a change even where it then reports a timeout
	for _, k := range remove {
		delete(tags, k)
	}
	maps.Copy(tags, set)
	// Serf first: it checks the size, and a refused change must not come back from
	// the file at the next start.
	if err := n.SetTags(tags); err != nil {
		return err
	}
	if path == "" {
		return nil
	}
	if err := writeTags(path, tags); err != nil {
		return &NotKeptError{err}
	}
	return nil
}

// NotKeptError is a change of tags that the cluster knows, and the tags file does not.
type NotKeptError struct{ err error }

func (e *NotKeptError) Error() string {
	return fmt.Sprintf("the tags are in effect but not kept: %v", e.err)
}
func (e *NotKeptError) Unwrap() error { return e.err }

// ReplaceTags sets the tags of this node, if they differ.
func (n *Node) ReplaceTags(tags map[string]string) error {
	n.tags.Lock()
	defer n.tags.Unlock()
	if maps.Equal(n.LocalMember().Tags, tags) {
		return nil
	}
	return n.SetTags(maps.Clone(tags))
}

// writeTags replaces a tags file as a whole, readable by its owner only.
func writeTags(path string, tags map[string]string) error {
	data, err := json.MarshalIndent(tags, "", "  ")
	if err != nil {
		return err
	}
	return files.Replace(path, data)
}
