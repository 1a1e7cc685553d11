{
  "components" :
  {
    "cuda" :
    {
      "requires" : [ ":hence", "hence-cuda:cuda" ],
      "type" : "interface"
    }
  },
  "cps_version" : "0.14.1",
  "name" : "hence",
  "requires" :
  {
    "hence-cuda" : {}
  }
}
