# The examples in headers' comments as functions, for tests/docs/run.sh. An example is a run of lines that are indented
# by four behind `///` and of which one ends with a semicolon; without one it is a formula or a table.
function finish(    i, topic, parts) {
  if (n == 0) return
  if (is_code) {
    split(file, parts, "/")
    topic = parts[3]
    count++
    printf "namespace of_%s {\n", topic
    if (text ~ /std::mdspan/) print "#ifdef __cpp_lib_mdspan"
    printf "void example_%d() {\n#line %d \"%s\"\n%s}\n", count, first, file, text
    if (text ~ /std::mdspan/) print "#endif"
    print "}"
  }
  n = 0
  is_code = 0
  text = ""
}
FNR == 1 { finish(); file = FILENAME; after_gap = 0 }
/^[ \t]*\/\/\/[ \t]*$/ { finish(); after_gap = 1; next }
/^[ \t]*\/\/\/     / && (after_gap || n > 0) {
  if (n++ == 0) first = FNR
  line = $0
  sub(/^[ \t]*\/\/\/     /, "", line)
  if (line ~ /;([ \t]*\/\/.*)?$/) is_code = 1
  text = text line "\n"
  next
}
{ finish(); after_gap = 0 }
END { finish(); print "// " count " examples" }
