package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// part makes any text a part of a record's name, a different one for each text:
// letters, digits and "-" stay, other bytes become "_" and two hex digits.
func part(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}

// keyPart is part for what may be long or private: its digest.
func keyPart(key string) string {
	if key == "" {
		return "all"
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

func workersPrefix(queue string) string { return "workers/" + part(queue) + "/" }
func lanesName(queue string) string     { return "lanes/" + part(queue) + "/table" }
func versionName(queue, pipeline string) string {
	return "versions/" + part(queue) + "/" + part(pipeline)
}

func limitName(queue, pipeline, stage, key, what string) string {
	return strings.Join([]string{"limits", part(queue), part(pipeline), part(stage), keyPart(key), what}, "/")
}
