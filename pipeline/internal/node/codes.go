package node

// Codes of problems. They are stable: tools act on them. Stages add codes of
// their own for what only they can check.
const (
	// The file as text.
	CodeUnreadable   = "unreadable"    // the file cannot be read
	CodeTooLarge     = "too-large"     // more than MaxSize bytes
	CodeNotUTF8      = "not-utf8"      // bytes that are not UTF-8
	CodeSyntax       = "syntax"        // not YAML; tabs as indentation too
	CodeEmptyFile    = "empty-file"    // nothing but comments
	CodeTwoDocuments = "two-documents" // more than one YAML document

	// The tree before any meaning.
	CodeTooDeep      = "too-deep"      // nested deeper than MaxDepth
	CodeAliasBomb    = "alias-bomb"    // aliases expand to too much or to themselves
	CodeMergeKey     = "merge-key"     // <<
	CodeDuplicateKey = "duplicate-key" // a key set twice
	CodeBadKey       = "bad-key"       // a key that is not plain text
	CodeTag          = "tag"           // !anything

	// References.
	CodeUnresolved   = "unresolved-variable" // ${env:} or ${file:} without a value
	CodeBadReference = "bad-reference"       // malformed, or where none may stand

	// Values against their types.
	CodeUnknownKey = "unknown-key"
	CodeMissingKey = "missing-key"
	CodeWrongType  = "wrong-type"
	CodeEmptyValue = "empty-value" // a key with nothing behind it
	CodeBadValue   = "bad-value"   // not one of the allowed values
	CodeOutOfRange = "out-of-range"
)
