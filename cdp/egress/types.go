package egress

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

// Types lists the types of resources that can be blocked. Documents cannot.
func Types() []string {
	return []string{"image", "font", "media", "stylesheet", "script", "websocket"}
}

// requestType names the type that a request itself tells: browsers send
// Sec-Fetch-Dest (W3C Fetch Metadata) to https and loopback. "" is unknown.
func requestType(r *http.Request) string {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return "websocket"
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "image":
		return "image"
	case "font":
		return "font"
	case "audio", "video", "track":
		return "media"
	case "style", "xslt":
		return "stylesheet"
	case "script", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet":
		return "script"
	}
	return ""
}

// answerType names the type of an answer by its media type: the only way where
// the request did not tell.
func answerType(h http.Header) string {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	family, kind, _ := strings.Cut(media, "/")
	switch {
	case family == "image", family == "font":
		return family
	case family == "audio", family == "video":
		return "media"
	case strings.HasPrefix(kind, "font-"), strings.HasPrefix(kind, "x-font-"), kind == "vnd.ms-fontobject":
		return "font"
	case media == "text/css":
		return "stylesheet"
	case slices.Contains([]string{"javascript", "ecmascript", "x-javascript"}, kind):
		return "script"
	}
	return ""
}
