package gossip

import (
	"encoding/json"

	"agentctl/agent/files"
)

// WriteTags replaces a tags file as a whole, readable by its owner only.
func WriteTags(path string, tags map[string]string) error {
	data, err := json.MarshalIndent(tags, "", "  ")
	if err != nil {
		return err
	}
	return files.Replace(path, data)
}
